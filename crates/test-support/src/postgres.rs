//! A real PostgreSQL server in a temporary directory, on a free port, run by an ordinary user, stopped on drop.

mod process;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

use crate::{Requirement, require};

/// Returns the directory of PostgreSQL's programs; without one returns `None` and records the test as skipped.
pub fn programs() -> Option<PathBuf> {
    if !require(Requirement::Postgresql) {
        return None;
    }
    todo_db::installation::find(None).map(|found| found.bin)
}

/// # Errors
/// There is no installation that the user who runs the server can execute.
pub(crate) fn check_installation() -> Result<(), String> {
    let found = todo_db::installation::find(None).ok_or("no PostgreSQL server is installed")?;
    // An installation in root's cache is not accessible to the user who runs the server.
    let Some(user) = ordinary_user().filter(|_| found.tree.is_some()) else {
        return Ok(());
    };
    let mut version = Command::new(found.bin.join("postgres"));
    version
        .arg("--version")
        .current_dir("/")
        .stdout(Stdio::null());
    version.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let (bin, name) = (found.bin.display(), user.name);
    Err(format!("user {name} cannot run the server in {bin}"))
}

/// A server in a private directory, stopped on drop.
pub struct Server {
    bin: PathBuf,
    dir: TempDir,
    /// Port on 127.0.0.1, and part of the socket's name.
    pub port: u16,
}

impl Server {
    /// Starts a server with these lines of `postgresql.conf`.
    pub fn start(bin: &Path, settings: &str) -> Self {
        Self::prepare(bin, settings).started()
    }

    /// Starts a server with this `pg_hba.conf`.
    pub fn start_with_hba(bin: &Path, hba: &str) -> Self {
        Self::prepare(bin, "").with_hba(hba).started()
    }

    /// Starts a standby that rejects every connection: it stays in recovery.
    pub fn start_in_recovery(bin: &Path) -> Self {
        let server = Self::prepare(bin, "hot_standby = off\n");
        fs::write(server.data().join("standby.signal"), "").unwrap();
        server.started()
    }

    /// Starts a hot standby without a primary.
    pub fn start_as_standby(bin: &Path) -> Self {
        let server = Self::prepare(bin, "");
        fs::write(server.data().join("standby.signal"), "").unwrap();
        server.started()
    }

    /// Starts a prepared server, and waits until it accepts connections, or recovers as a standby.
    pub fn started(self) -> Self {
        self.start_again();
        self
    }

    /// Starts a stopped server, as [`Self::started`] does.
    #[track_caller]
    pub fn start_again(&self) {
        self.control(&["start", "-w"]);
    }

    /// Stops the server: `pg_ctl stop -m fast`.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Writes `pg_hba.conf`.
    pub fn with_hba(self, hba: &str) -> Self {
        fs::write(self.data().join("pg_hba.conf"), hba).unwrap();
        self
    }

    /// Writes a file of mode 0600 to the data directory.
    pub fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = ordinary_user() {
            chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        self
    }

    /// The server's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Runs a statement as the superuser, over the socket, and returns its output.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        let output = self
            .command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(self.dir())
            .args([
                "-p",
                &self.port.to_string(),
                "-d",
                "postgres",
                "-c",
                statement,
            ])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        assert!(output.status.success(), "{statement}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Creates the data directory of a server that does not run yet.
    pub fn prepare(bin: &Path, settings: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in(std::env::temp_dir())
            .unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = ordinary_user() {
            chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self {
            bin: bin.to_owned(),
            dir,
            port,
        };
        let data = server.data();
        server
            .command("initdb")
            .args(["-N", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&data)
            .succeed();
        let settings = format!(
            "port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\n{settings}",
            server.dir().display()
        );
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
        server
    }

    /// Directory of the socket and the data directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    #[track_caller]
    fn control(&self, arguments: &[&str]) {
        let log = self.dir.path().join("log");
        let status = self
            .command("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .arg("-l")
            .arg(log)
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "pg_ctl {arguments:?}: {}", self.log());
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(user) = ordinary_user() {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self
            .command("pg_ctl")
            .arg("-D")
            .arg(self.data())
            .args(["stop", "-m", "immediate"])
            .status();
    }
}

/// User that runs the server if the caller is root, which PostgreSQL does not accept; `None` if the caller is not root.
pub fn ordinary_user() -> Option<User> {
    let named = |name| User::from_name(name).ok().flatten();
    Uid::effective().is_root().then(|| {
        named("postgres")
            .or_else(|| named("nobody"))
            .expect("a user other than root")
    })
}

trait Succeed {
    fn succeed(&mut self);
}

impl Succeed for Command {
    #[track_caller]
    fn succeed(&mut self) {
        assert!(self.status().unwrap().success(), "{self:?}");
    }
}
