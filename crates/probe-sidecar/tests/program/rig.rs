//! A running sidecar with a configuration of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) fn program(config: &Path) -> Command {
    program_by(&[], config)
}

/// The program, started by another one with these words.
fn program_by(words: &[&str], config: &Path) -> Command {
    let all = [words, &[env!("CARGO_BIN_EXE_probe-sidecar")]].concat();
    let mut command = Command::new(all[0]);
    command
        .args(&all[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .arg("--config")
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A running instance, killed when the test is over.
pub(crate) struct Running {
    pub(crate) child: Child,
    log: Lines<BufReader<ChildStderr>>,
    pub(crate) address: String,
}

impl Running {
    pub(crate) fn start(config: &Path, flags: &[&str]) -> Self {
        Self::start_by(&[], config, flags)
    }

    /// One that another program starts, with these words.
    pub(crate) fn start_by(words: &[&str], config: &Path, flags: &[&str]) -> Self {
        let mut child = program_by(words, config)
            .args(["--listen=127.0.0.1:0", "--log-format=json"])
            .args(flags)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut running = Self {
            child,
            log,
            address: String::new(),
        };
        let line = running.logged("listening");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        running.address = line["address"].as_str().unwrap().to_owned();
        running
    }

    /// Waits for a log line with these words.
    pub(crate) fn logged(&mut self, words: &str) -> String {
        let mut lines = self.log.by_ref().map(Result::unwrap);
        let line = lines.find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("ended without logging {words:?}"))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn config(&self, text: &str) -> PathBuf {
        let path = self.path("probes.yaml");
        fs::write(&path, text).unwrap();
        path
    }
}

/// A target that listens, with a liveness probe every 20 ms.
pub(crate) fn tcp(port: u16) -> String {
    format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: {port}}}, failureThreshold: 1, beyond: {{periodMilliseconds: 20}}}}}}]\n"
    )
}
