//! The entrypoint with PostgreSQL's real programs: what the official image documents, and what it does not promise.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use test_support::Requirement;

/// What the server says when it serves.
const READY: &str = "database system is ready to accept connections";
/// What the entrypoint says once a new database is whole.
const COMPLETE: &str = "PostgreSQL init process complete; ready for start up.";
const SKIPPING: &str = "Skipping initialization";

/// Folders of a container that is to be, and its port.
struct Place {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
}

impl Place {
    /// Returns `None`, and records the test as skipped, without PostgreSQL.
    fn new() -> Option<Self> {
        let bin = test_support::postgres::programs()?;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["data", "scripts", "socket"] {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(user) = test_support::postgres::ordinary_user() {
                chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        Some(Self { bin, folder, port })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, mode: u32, text: &str) {
        let file = self.path("scripts").join(name);
        fs::write(&file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The entrypoint as whoever runs the test, with these variables.
    fn entry(&self, env: &[(&str, &str)]) -> Command {
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

    fn server(&self, env: &[(&str, &str)]) -> Command {
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

    fn start(&self, env: &[(&str, &str)]) -> Db {
        Db::start(as_ordinary_user(&mut self.server(env)))
    }

    fn output(&self, env: &[(&str, &str)]) -> Output {
        as_ordinary_user(&mut self.server(env)).output().unwrap()
    }

    /// What a client over the network is told.
    fn psql(
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

fn as_ordinary_user(command: &mut Command) -> &mut Command {
    if let Some(user) = test_support::postgres::ordinary_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// A server that the entrypoint has become.
struct Db {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    seen: Vec<String>,
}

impl Db {
    fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut db = Self {
            child,
            lines,
            seen: Vec::new(),
        };
        let first = db.until(&[COMPLETE, SKIPPING]);
        db.seen.push(first);
        db.until(&[READY]);
        db
    }

    /// Reads its log until a line has one of these in it.
    #[track_caller]
    fn until(&mut self, parts: &[&str]) -> String {
        loop {
            let line = self
                .lines
                .next()
                .unwrap_or_else(|| panic!("it ended: {:#?}", self.seen));
            let line = line.unwrap();
            if parts.iter().any(|part| line.contains(part)) {
                return line;
            }
            self.seen.push(line);
        }
    }

    fn signal(&mut self, signal: Signal) {
        kill(
            Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            signal,
        )
        .unwrap();
    }

    /// Asks it to end as the image's stop signal does, and waits for that.
    fn stop(mut self) {
        self.signal(Signal::SIGINT);
        self.child.wait().unwrap();
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            // An immediate shutdown takes its children along.
            self.signal(Signal::SIGQUIT);
            self.child.wait().unwrap();
        }
    }
}

#[track_caller]
fn fails_with(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_new_database_has_its_user_and_password_and_a_later_start_keeps_it() {
    let Some(place) = Place::new() else { return };
    let password = place.path("password");
    fs::write(&password, "top secret\n").unwrap();
    let env = [
        ("POSTGRES_USER", "todo"),
        ("POSTGRES_DB", "the \"list\""),
        // As a test must come from this machine, which is trusted otherwise.
        ("POSTGRES_INITDB_ARGS", "--auth-host=scram-sha-256"),
        ("POSTGRES_PASSWORD_FILE", password.to_str().unwrap()),
    ];
    let db = place.start(&env);
    assert!(
        !db.seen.iter().any(|line| line.contains("top secret")),
        "{:?}",
        db.seen
    );
    let ask = |password, statement| place.psql("todo", password, "the \"list\"", statement);
    ask("top secret", "create table kept as select 42 as n").unwrap();
    let refused = ask("guess", "select 1").unwrap_err();
    assert!(
        refused.contains("password authentication failed"),
        "{refused}"
    );
    assert_eq!(ask("top secret", "show server_encoding").unwrap(), "UTF8");
    let network = "select auth_method from pg_hba_file_rules where address = 'all'";
    assert_eq!(ask("top secret", network).unwrap(), "scram-sha-256");
    let listens = "select setting from pg_file_settings where name = 'listen_addresses'";
    assert_eq!(ask("top secret", listens).unwrap(), "*");
    db.stop();

    // A later start looks at nothing but the folder.
    let db = place.start(&[]);
    assert!(
        db.seen.iter().any(|line| line.contains(SKIPPING)),
        "{:?}",
        db.seen
    );
    assert_eq!(ask("top secret", "select n from kept").unwrap(), "42");
}

#[test]
fn a_server_that_was_killed_comes_back_with_what_it_had() {
    let Some(place) = Place::new() else { return };
    let trust = [("POSTGRES_HOST_AUTH_METHOD", "trust")];
    let mut db = place.start(&trust);
    let ask = |statement| place.psql("postgres", "", "postgres", statement);
    ask("create table kept as select 42 as n").unwrap();
    db.signal(Signal::SIGQUIT);
    db.child.wait().unwrap();
    drop(db);
    let _db = place.start(&trust);
    assert_eq!(ask("select n from kept").unwrap(), "42");
}

#[test]
fn scripts_run_once_in_the_order_of_their_names_on_a_server_that_the_network_cannot_reach() {
    let Some(place) = Place::new() else { return };
    place.script(
        "1-table.sql",
        0o644,
        "create table steps (n serial, step text);",
    );
    place.script(
        "2-run.sh",
        0o755,
        "#!/bin/sh\npg_isready -q -h 127.0.0.1; code=$?\npsql -qc \"insert into steps (step) values ('network $code')\" -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"\n",
    );
    place.script(
        "3-read.sh",
        0o644,
        "psql -qc \"insert into steps (step) values ('read')\" -U \"$POSTGRES_USER\" -d \"$POSTGRES_DB\"\n",
    );
    let sql = place.path("scripts").join("4-packed.sql");
    fs::write(&sql, "insert into steps (step) values ('packed');").unwrap();
    assert!(Command::new("gzip").arg(&sql).status().unwrap().success());
    place.script("5-letter.txt", 0o644, "dear");
    let env = [("POSTGRES_PASSWORD", "p"), ("POSTGRES_DB", "list")];
    let db = place.start(&env);
    let steps = "select string_agg(step, ', ' order by n) from steps";
    let ask = || place.psql("postgres", "p", "list", steps).unwrap();
    // 2: pg_isready had no response.
    assert_eq!(ask(), "network 2, read, packed");
    db.stop();
    let _again = place.start(&env);
    assert_eq!(ask(), "network 2, read, packed");
}

#[test]
fn a_script_that_fails_ends_it_and_the_next_start_begins_anew() {
    let Some(place) = Place::new() else { return };
    let env = [("POSTGRES_HOST_AUTH_METHOD", "trust")];
    place.script("1.sql", 0o644, "create table once (n int);\nselect broken;");
    let output = place.output(&env);
    fails_with(&output, &["1.sql", "psql failed"]);

    place.script("1.sql", 0o644, "create table once (n int);");
    let _db = place.start(&env);
    let count = place.psql("postgres", "", "postgres", "select count(*) from once");
    assert_eq!(count.unwrap(), "0");
}

#[test]
fn an_environment_that_makes_no_sense_is_refused_before_anything_is_made() {
    let Some(place) = Place::new() else { return };
    fails_with(&place.output(&[]), &["POSTGRES_PASSWORD is not set"]);
    let both = [("POSTGRES_PASSWORD", "a"), ("POSTGRES_PASSWORD_FILE", "/b")];
    fails_with(
        &place.output(&both),
        &["POSTGRES_PASSWORD and POSTGRES_PASSWORD_FILE"],
    );
    assert_eq!(fs::read_dir(place.path("data")).unwrap().count(), 0);
    fs::write(place.path("data").join("letter"), "dear").unwrap();
    fails_with(
        &place.output(&[("POSTGRES_PASSWORD", "a")]),
        &["is not empty", "data"],
    );
    assert!(place.path("data").join("letter").exists());
}

#[test]
fn any_other_command_is_run_as_it_is() {
    let Some(place) = Place::new() else { return };
    let run = |words: &[&str]| place.entry(&[]).args(words).output().unwrap();
    assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    let missing = run(&["no-such-program"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-program"));
    assert_eq!(fs::read_dir(place.path("data")).unwrap().count(), 0);

    let mut version = place
        .entry(&[])
        .arg("--version")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    version
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    version.wait().unwrap();
    assert!(text.starts_with("postgres (PostgreSQL)"), "{text}");
}

/// Whose a process is.
fn owner(pid: u32) -> u32 {
    fs::metadata(Path::new("/proc").join(pid.to_string()))
        .unwrap()
        .uid()
}

#[test]
fn root_is_left_behind_and_its_folder_handed_over() {
    let Some(place) = Place::new() else { return };
    let Some(user) = test_support::postgres::ordinary_user() else {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    };
    let data = place.path("data");
    chown(&data, Some(0), Some(0)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).unwrap();
    let db = Db::start(&mut place.server(&[("POSTGRES_PASSWORD", "p")]));
    let metadata = fs::metadata(&data).unwrap();
    assert_eq!(
        (metadata.uid(), metadata.mode() & 0o777),
        (user.uid.as_raw(), 0o700)
    );
    assert_eq!(owner(db.child.id()), user.uid.as_raw());
}

#[test]
fn root_of_a_namespace_that_knows_nobody_else_goes_on_by_another_name() {
    let Some(place) = Place::new() else { return };
    let alone = ["--user", "--map-root-user"];
    let probe = as_ordinary_user(Command::new("unshare").args(alone).arg("true")).status();
    if !probe.is_ok_and(|status| status.success()) {
        test_support::skip(Requirement::Namespaces, "unshare --user is not allowed");
        return;
    }
    let server = place.server(&[("POSTGRES_PASSWORD", "p")]);
    let mut unshare = Command::new("unshare");
    unshare
        .args(alone)
        .arg(server.get_program())
        .args(server.get_args())
        .env_clear()
        .envs(
            server
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir("/")
        .stderr(Stdio::piped());
    let _db = Db::start(as_ordinary_user(&mut unshare));
    let one = place.psql("postgres", "p", "postgres", "select 1");
    assert_eq!(one.unwrap(), "1");
}
