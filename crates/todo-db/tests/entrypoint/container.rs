//! A container of the entrypoint: directories, port, process.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Log line of a server that accepts connections.
pub(crate) const READY: &str = "database system is ready to accept connections";
/// Log line of the entrypoint after the initialization.
pub(crate) const COMPLETE: &str = "PostgreSQL init process complete; ready for start up.";
pub(crate) const SKIPPING: &str = "Skipping initialization";

/// Directories of a container, and its port.
pub(crate) struct Container {
    pub(crate) bin: PathBuf,
    dir: TempDir,
    port: u16,
}

impl Container {
    /// Returns `None`, and records the test as skipped, without PostgreSQL.
    pub(crate) fn new() -> Option<Self> {
        let bin = test_support::postgres::programs()?;
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["data", "scripts", "socket"] {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(user) = test_support::postgres::ordinary_user() {
                chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        Some(Self { bin, dir, port })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn script(&self, name: &str, mode: u32, text: &str) {
        let file = self.path("scripts").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The entrypoint as the user of the test, with these variables.
    pub(crate) fn entry(&self, env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_todo-db"));
        command
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.bin.display()))
            .env("LANG", "C.UTF-8")
            .env("PGDATA", self.path("data"))
            .env("TODO_DB_SCRIPTS", self.path("scripts"))
            .envs(env.iter().copied())
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn server(&self, env: &[(&str, &str)]) -> Command {
        let mut command = self.entry(env);
        for setting in [
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.path("socket").display()),
            "listen_addresses=127.0.0.1".to_owned(),
        ] {
            command.arg("-c").arg(setting);
        }
        command
    }

    /// Makes `wrapper` run the command, with its environment.
    pub(crate) fn wrap<'a>(&self, command: &Command, wrapper: &'a mut Command) -> &'a mut Command {
        let env = command.get_envs();
        wrapper
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(env.filter_map(|(name, value)| Some((name, value?))))
            .current_dir("/")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
    }

    pub(crate) fn start(&self, env: &[(&str, &str)]) -> Db {
        Db::start(as_ordinary_user(&mut self.server(env)))
    }

    pub(crate) fn output(&self, env: &[(&str, &str)]) -> Output {
        as_ordinary_user(&mut self.server(env)).output().unwrap()
    }

    /// Runs a statement over the network; returns its output, or the error.
    pub(crate) fn psql(
        &self,
        user: &str,
        password: &str,
        database: &str,
        statement: &str,
    ) -> Result<String, String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-XAtq", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", user, "-d", database, "-c", statement])
            .env("PGPASSWORD", password)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }
}

pub(crate) fn as_ordinary_user(command: &mut Command) -> &mut Command {
    if let Some(user) = test_support::postgres::ordinary_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// Process of the entrypoint and, after it, of the server.
pub(crate) struct Db {
    pub(crate) child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    pub(crate) log: Vec<String>,
}

impl Db {
    /// Starts the entrypoint.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Vec::new();
        Self { child, lines, log }
    }

    /// Starts the entrypoint and waits for the server.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut db = Self::spawn(command);
        let first = db.wait_for_line(&[COMPLETE, SKIPPING]);
        db.log.push(first);
        db.wait_for_line(&[READY]);
        db
    }

    /// Reads the log to its end and returns the exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.log.extend(self.lines.by_ref().map(Result::unwrap));
        self.child.wait().unwrap().code()
    }

    /// Reads the log up to and including a line that contains one of `parts`, and returns the line.
    #[track_caller]
    pub(crate) fn wait_for_line(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self
                .lines
                .next()
                .unwrap_or_else(|| panic!("the process exited: {:#?}", self.log));
            let line = line.unwrap();
            if parts.iter().any(|part| line.contains(part)) {
                return line;
            }
            self.log.push(line);
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// Stops the server with the image's stop signal.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGINT);
        self.child.wait().unwrap();
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            // An immediate shutdown stops all processes of the server.
            self.signal(Signal::SIGQUIT);
            self.child.wait().unwrap();
        }
    }
}

#[track_caller]
pub(crate) fn assert_fails(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}
