//! A running sidecar with its own configuration.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_support::program::Program;

pub(crate) fn program(config: &Path) -> Command {
    program_by(&[], config)
}

/// Creates the command of the program with a prefix of another program.
fn program_by(prefix: &[&str], config: &Path) -> Command {
    let all = [prefix, &[env!("CARGO_BIN_EXE_probe-sidecar")]].concat();
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

/// A running instance, killed on drop.
pub(crate) struct Running(Program);

impl Deref for Running {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.0
    }
}

impl Running {
    pub(crate) fn start(config: &Path, flags: &[&str]) -> Self {
        Self::start_by(&[], config, flags)
    }

    /// Starts an instance by another program.
    pub(crate) fn start_by(prefix: &[&str], config: &Path, flags: &[&str]) -> Self {
        let mut command = program_by(prefix, config);
        command
            .args(["--listen=127.0.0.1:0", "--log-format=json"])
            .args(flags);
        Self(Program::spawn_server(command, "\"address\":\""))
    }

    /// Waits for a log line that contains the text.
    #[track_caller]
    pub(crate) fn wait_for_log(&mut self, text: &str) -> String {
        self.wait_for_line(&[text])
    }
}

pub(crate) struct TestDir(tempfile::TempDir);

impl TestDir {
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

/// Returns the configuration of a target with a liveness probe of `port` every 20 ms.
pub(crate) fn tcp(port: u16) -> String {
    format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: {port}}}, failureThreshold: 1, extensions: {{periodMilliseconds: 20}}}}}}]\n"
    )
}
