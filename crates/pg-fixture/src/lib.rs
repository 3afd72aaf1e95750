//! A real PostgreSQL server in a temporary folder, on a free port, run as an ordinary user, ended with the test.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic and talk as tests do"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};
use tempfile::TempDir;

/// Returns the directory of PostgreSQL's programs; reports a skipped test if there is none that the server's user can run.
pub fn programs() -> Option<PathBuf> {
    let Some(found) = todo_db::installation::find(None) else {
        let how = todo_db::installation::HOW_TO_INSTALL;
        eprintln!("SKIPPED: needs PostgreSQL; {how}");
        return None;
    };
    // root's cache is closed to the user that root starts the server as.
    if let Some(user) = ordinary_user().filter(|_| found.tree.is_some()) {
        let mut version = Command::new(found.bin.join("postgres"));
        version
            .arg("--version")
            .current_dir("/")
            .stdout(Stdio::null());
        version.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        if !version.status().is_ok_and(|status| status.success()) {
            let (bin, name) = (found.bin.display(), user.name);
            eprintln!("SKIPPED: needs PostgreSQL; user {name} cannot run the one in {bin}");
            return None;
        }
    }
    Some(found.bin)
}

/// A server that runs.
pub struct Server {
    bin: PathBuf,
    folder: TempDir,
    /// Its port, on 127.0.0.1 and in the name of its socket.
    pub port: u16,
}

impl Server {
    /// A server with these settings.
    pub fn start(bin: &Path, settings: &str) -> Self {
        Self::prepare(bin, settings).started()
    }

    /// A server with these rules for who may connect.
    pub fn start_with_hba(bin: &Path, hba: &str) -> Self {
        Self::prepare(bin, "").with_hba(hba).started()
    }

    /// A standby that admits nobody: it stays in recovery for as long as it runs.
    pub fn start_in_recovery(bin: &Path) -> Self {
        let server = Self::prepare(bin, "hot_standby = off\n");
        fs::write(server.data().join("standby.signal"), "").unwrap();
        server.control(&["start", "-W"]);
        while TcpStream::connect(("127.0.0.1", server.port)).is_err() {
            std::thread::yield_now();
        }
        server
    }

    /// A hot standby without a primary.
    pub fn start_as_standby(bin: &Path) -> Self {
        let server = Self::prepare(bin, "");
        fs::write(server.data().join("standby.signal"), "").unwrap();
        server.started()
    }

    /// Starts what was prepared, and waits until it accepts connections.
    pub fn started(self) -> Self {
        self.start_again();
        self
    }

    /// Starts what has ended, and waits until it accepts connections.
    #[track_caller]
    pub fn start_again(&self) {
        self.control(&["start", "-w"]);
    }

    /// Ends it as an administrator would.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Ends it and its sessions in the middle of what they do, and waits until none is left of them.
    pub fn kill(&self) {
        // Stopped first, so that it neither forks nor cleans up while its children are counted.
        self.freeze();
        let postmaster = self.pid();
        let all: Vec<Pid> = std::iter::once(postmaster).chain(self.children()).collect();
        let handles: Vec<_> = all.iter().filter_map(|pid| handle(*pid)).collect();
        for pid in &all {
            // One that has ended meanwhile needs no word.
            let _ = kill(*pid, Signal::SIGKILL);
        }
        // A new server refuses to start beside one of the old processes: they still hold its shared memory.
        for process in &handles {
            let mut ended = [PollFd::new(process, PollFlags::IN)];
            while poll(&mut ended, None) == Err(Errno::INTR) {}
        }
        // It also refuses while the old one's number is taken, and it is until somebody asks how that one ended: its
        // parent, which is not this program and may be slow. We have seen its end.
        let socket = format!(".s.PGSQL.{}.lock", self.port);
        for lock in [
            self.data().join("postmaster.pid"),
            self.folder().join(socket),
        ] {
            fs::remove_file(lock).unwrap();
        }
    }

    /// Sets the rules for who may connect.
    pub fn with_hba(self, hba: &str) -> Self {
        fs::write(self.data().join("pg_hba.conf"), hba).unwrap();
        self
    }

    /// Puts a file that only the server may read into its data folder.
    pub fn with_file(self, name: &str, text: &str) -> Self {
        let path = self.data().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some(user) = ordinary_user() {
            chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        self
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Runs a statement as the superuser, over the socket; what it answers.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> String {
        let output = self
            .command("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h"])
            .arg(self.folder())
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

    /// A folder with a server that does not run yet.
    pub fn prepare(bin: &Path, settings: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in(std::env::temp_dir())
            .unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(user) = ordinary_user() {
            chown(
                folder.path(),
                Some(user.uid.as_raw()),
                Some(user.gid.as_raw()),
            )
            .unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Self {
            bin: bin.to_owned(),
            folder,
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
            server.folder().display()
        );
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
        server
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Stops it in its tracks: it keeps its port and answers nothing.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Stops it and its sessions in their tracks.
    pub fn freeze_sessions(&self) {
        self.freeze();
        for pid in self.children() {
            kill(pid, Signal::SIGSTOP).unwrap();
        }
    }

    /// The processes that it has forked.
    fn children(&self) -> Vec<Pid> {
        let postmaster = self.pid();
        let file = format!("/proc/{postmaster}/task/{postmaster}/children");
        let text = fs::read_to_string(file).unwrap();
        let pids = text
            .split_whitespace()
            .map(|pid| Pid::from_raw(pid.parse().unwrap()));
        pids.collect()
    }

    /// The processor time that it and its sessions have taken, those that have ended too.
    pub fn cpu(&self) -> Duration {
        // Counted from the state, which is the third; a name in parentheses comes before it and may have blanks.
        let ticks = |pid: Pid, fields: &[usize]| -> u64 {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let stat = stat.rsplit(')').next().unwrap_or_default();
            let stat: Vec<&str> = stat.split_whitespace().collect();
            let number = |field: &usize| stat.get(field - 3)?.parse::<u64>().ok();
            fields.iter().filter_map(number).sum()
        };
        let alive: u64 = self
            .children()
            .iter()
            .map(|pid| ticks(*pid, &[14, 15]))
            .sum();
        let total = alive + ticks(self.pid(), &[14, 15, 16, 17]);
        let second = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
        Duration::from_secs(total) / second
    }

    fn pid(&self) -> Pid {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        Pid::from_raw(file.lines().next().unwrap().parse().unwrap())
    }

    /// Lets it go on, and its sessions.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
        for pid in self.children() {
            // One that has ended meanwhile needs no word.
            let _ = kill(pid, Signal::SIGCONT);
        }
    }

    fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    #[track_caller]
    fn control(&self, arguments: &[&str]) {
        let log = self.folder.path().join("log");
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

/// Can be waited on, though the process is nobody's child of ours; none if it is gone.
fn handle(process: Pid) -> Option<OwnedFd> {
    let process = rustix::process::Pid::from_raw(process.as_raw())?;
    pidfd_open(process, PidfdFlags::empty()).ok()
}

/// Who runs it where root would be refused; nobody where the caller is no root.
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
