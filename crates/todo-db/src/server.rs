//! Creates a database with PostgreSQL's programs, and runs a temporary server that only local clients reach.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use secrecy::ExposeSecret as _;

use crate::data::Initialization;
use crate::programs::Programs;
use crate::settings::{self, Settings};
use crate::{EntryError, log, system, user};

/// Creates an empty database in a temporary directory, because `initdb` needs an empty one, and moves it into place.
pub(crate) fn create(
    settings: &Settings,
    programs: &Programs,
    options: &[OsString],
    initialization: &Initialization,
) -> Result<(), EntryError> {
    let made = initialization.dir().join("data");
    let mut initdb = programs.command("initdb");
    user::provide_name(&mut initdb, initialization.dir())?;
    initdb.arg("--pgdata").arg(&made);
    initdb.arg(format!("--username={}", settings.user));
    if let Some(wal) = &settings.wal {
        initdb.arg("--waldir").arg(wal);
    }
    initdb.args(&settings.initdb);
    match settings.password_line() {
        Some(line) => run_with_password(programs, &mut initdb, &line)?,
        None => programs.run(initdb.stdin(Stdio::null()))?,
    }
    allow_network(settings, programs, options, &made)?;
    initialization.publish(&made)
}

/// Passes the password through a pipe: other processes can read arguments and files.
fn run_with_password(
    programs: &Programs,
    initdb: &mut Command,
    line: &str,
) -> Result<(), EntryError> {
    let doing = || system("passing the password to initdb");
    let (reader, mut writer) = std::io::pipe().map_err(doing())?;
    writer.write_all(line.as_bytes()).map_err(doing())?;
    drop(writer);
    programs.run(initdb.arg("--pwfile=/dev/stdin").stdin(reader))
}

/// Adds what `initdb` leaves out: a server that listens on all addresses, and a rule for clients in the network.
fn allow_network(
    settings: &Settings,
    programs: &Programs,
    options: &[OsString],
    data: &Path,
) -> Result<(), EntryError> {
    let auth = match &settings.auth {
        Some(auth) => auth.clone(),
        None => password_encryption(programs, options, data)?,
    };
    if auth == "trust" {
        log(
            "POSTGRES_HOST_AUTH_METHOD is trust: every client that can connect has superuser rights",
        );
    }
    append(&data.join("postgresql.conf"), "listen_addresses = '*'")?;
    append(
        &data.join("pg_hba.conf"),
        &format!("host all all all {auth}"),
    )
}

/// Value of the server's setting `password_encryption`, which is also the name of an authentication method.
fn password_encryption(
    programs: &Programs,
    options: &[OsString],
    data: &Path,
) -> Result<String, EntryError> {
    let mut postgres = programs.command("postgres");
    postgres.args(["-C", "password_encryption", "-D"]).arg(data);
    let output = postgres.args(options).stdin(Stdio::null()).output();
    let output = output.map_err(system("reading password_encryption"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    log(String::from_utf8_lossy(&output.stderr).trim_end());
    Err(EntryError::Failed {
        program: "postgres -C password_encryption".to_owned(),
        status: output.status.to_string(),
    })
}

fn append(file: &Path, line: &str) -> Result<(), EntryError> {
    let write = || {
        let mut file = OpenOptions::new().append(true).open(file)?;
        write!(file, "\n{line}\n")
    };
    write().map_err(system(format!("writing {}", file.display())))
}

/// Server that listens on its socket only, while the database is initialized.
pub(crate) struct Temporary<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) programs: &'a Programs,
    endpoint: Endpoint,
    is_running: bool,
}

/// Process and socket of a running server.
#[derive(Default)]
struct Endpoint {
    pid: Option<Pid>,
    socket_dir: PathBuf,
    port: String,
}

impl<'a> Temporary<'a> {
    pub(crate) fn start(
        settings: &'a Settings,
        programs: &'a Programs,
        options: &[OsString],
    ) -> Result<Self, EntryError> {
        let options = options
            .iter()
            .map(|option| option.to_string_lossy().into_owned());
        let socket_only = ["-c".to_owned(), "listen_addresses=".to_owned()];
        let words: Vec<String> = options.chain(socket_only).collect();
        let words = shlex::try_join(words.iter().map(String::as_str)).map_err(|error| {
            system("quoting the server's options")(std::io::Error::other(error))
        })?;
        // Create the handle before the start: dropping it stops the server, which runs even if `pg_ctl` is interrupted.
        let mut server = Self {
            settings,
            programs,
            endpoint: Endpoint::default(),
            is_running: true,
        };
        programs.run(server.control().args(["-w", "-o", &words, "start"]))?;
        server.endpoint = Endpoint::read(&settings.data)?;
        Ok(server)
    }

    pub(crate) fn create_database(&self) -> Result<(), EntryError> {
        if self.settings.database == "postgres" {
            return Ok(());
        }
        let name = self.settings.database.replace('"', "\"\"");
        let statement = format!("CREATE DATABASE \"{name}\"");
        self.programs
            .run(self.psql("postgres").args(["-c", &statement]))
    }

    /// `psql` as the superuser, which stops at the first error and ignores a user's settings.
    pub(crate) fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc"]);
        psql.arg(format!("--username={}", self.settings.user));
        psql.arg(format!("--dbname={database}"));
        psql.stdin(Stdio::null());
        psql
    }

    /// Program in the environment of scripts: the server's address, and the settings, also those from files.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.programs.command(program);
        command
            .env("PGDATA", &self.settings.data)
            .env("PGHOST", &self.endpoint.socket_dir)
            .env_remove("PGHOSTADDR")
            .env("PGPORT", &self.endpoint.port)
            .env("POSTGRES_USER", &self.settings.user)
            .env("POSTGRES_DB", &self.settings.database);
        for name in settings::FILE_VARIABLES {
            command.env_remove(format!("{name}_FILE"));
        }
        if !self.settings.initdb_args.is_empty() {
            command.env("POSTGRES_INITDB_ARGS", &self.settings.initdb_args);
        }
        if let Some(password) = &self.settings.password {
            command.env("POSTGRES_PASSWORD", password.expose_secret());
            // Local connections may need it, and a password of the caller has precedence, as in the official image.
            if std::env::var_os("PGPASSWORD").is_none() {
                command.env("PGPASSWORD", password.expose_secret());
            }
        }
        command
    }

    fn control(&self) -> Command {
        let mut control = self.programs.command("pg_ctl");
        control
            .arg("-D")
            .arg(&self.settings.data)
            .env("PGUSER", &self.settings.user)
            .stdin(Stdio::null());
        control
    }

    pub(crate) fn stop(mut self) -> Result<(), EntryError> {
        self.is_running = false;
        self.programs
            .run(self.control().args(["-m", "fast", "-w", "stop"]))?;
        self.reap();
        Ok(())
    }

    /// Waits for the server's process, which belongs to this process if it is the first of its container. The next server
    /// would inherit it, and log a child that it does not know.
    fn reap(&self) {
        if std::process::id() != 1 {
            return;
        }
        if let Some(pid) = self.endpoint.pid {
            while waitpid(pid, None) == Err(Errno::EINTR) {}
        }
        // Background processes of scripts may run on.
        while !matches!(
            waitpid(None, Some(WaitPidFlag::WNOHANG)),
            Ok(WaitStatus::StillAlive) | Err(_)
        ) {}
    }
}

impl Drop for Temporary<'_> {
    /// Stops the server after a failure. The database is discarded, so the fastest mode is sufficient.
    fn drop(&mut self) {
        if self.is_running && self.settings.data.join("postmaster.pid").exists() {
            let mut stop = self.control();
            let _ = self
                .programs
                .run_always(stop.args(["-m", "immediate", "-w", "stop"]));
        }
    }
}

impl Endpoint {
    /// Reads the server's lock file. Its lines are documented in PostgreSQL's `miscadmin.h`.
    fn read(data: &Path) -> Result<Self, EntryError> {
        let file = data.join("postmaster.pid");
        let text = fs::read_to_string(&file);
        let text = text.map_err(system(format!("reading {}", file.display())))?;
        let line = |n: usize| text.lines().nth(n).unwrap_or_default().trim();
        Ok(Self {
            pid: line(0).parse().ok().map(Pid::from_raw),
            socket_dir: PathBuf::from(line(4)),
            port: line(3).to_owned(),
        })
    }
}
