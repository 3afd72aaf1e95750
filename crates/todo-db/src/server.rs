//! Making a database with PostgreSQL's own programs, and the server that nobody but this program can reach while it does.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::wait::wait;

use crate::programs::{Programs, succeed};
use crate::settings::Settings;
use crate::{EntryError, data, system};

/// Makes an empty database in a folder of its own, and then moves it to its place: `initdb` wants an empty folder.
pub(crate) fn create(
    settings: &Settings,
    programs: &Programs,
    unfinished: &Path,
) -> Result<(), EntryError> {
    let made = unfinished.join("data");
    let mut initdb = programs.command("initdb");
    initdb.arg("--pgdata").arg(&made);
    initdb.arg(format!("--username={}", settings.user));
    if let Some(wal) = &settings.wal {
        initdb.arg("--waldir").arg(wal);
    }
    initdb.args(&settings.initdb);
    match settings.password_line() {
        Some(line) => with_password(&mut initdb, &line)?,
        None => succeed(initdb.stdin(Stdio::null()))?,
    }
    admit_network(settings, &made)?;
    data::move_up(&made, &settings.data)
}

/// The password goes through a pipe: arguments and files can be read by others.
fn with_password(initdb: &mut Command, line: &str) -> Result<(), EntryError> {
    let doing = || system("giving initdb the password");
    let (reader, mut writer) = std::io::pipe().map_err(doing())?;
    writer.write_all(line.as_bytes()).map_err(doing())?;
    drop(writer);
    succeed(initdb.arg("--pwfile=/dev/stdin").stdin(reader))
}

/// `initdb` makes a server that listens to, and admits, only this machine.
fn admit_network(settings: &Settings, data: &Path) -> Result<(), EntryError> {
    let auth = &settings.auth;
    if auth == "trust" {
        crate::say(
            "POSTGRES_HOST_AUTH_METHOD is trust: everybody who can connect may be superuser",
        );
    }
    append(&data.join("postgresql.conf"), "listen_addresses = '*'")?;
    append(
        &data.join("pg_hba.conf"),
        &format!("host all all all {auth}"),
    )
}

fn append(file: &Path, line: &str) -> Result<(), EntryError> {
    let write = || {
        let mut file = OpenOptions::new().append(true).open(file)?;
        write!(file, "\n{line}\n")
    };
    write().map_err(system(format!("writing {}", file.display())))
}

/// A server on a socket only, while the database is made.
pub(crate) struct Temporary<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) programs: &'a Programs,
    /// Where its socket is.
    socket: PathBuf,
    port: String,
    runs: bool,
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
        let words = shlex::try_join(words.iter().map(String::as_str))
            .map_err(|error| system("the server's options")(std::io::Error::other(error)))?;
        succeed(control(settings, programs).args(["-w", "-o", &words, "start"]))?;
        let (socket, port) = whereabouts(&settings.data)?;
        Ok(Self {
            settings,
            programs,
            socket,
            port,
            runs: true,
        })
    }

    pub(crate) fn create_database(&self) -> Result<(), EntryError> {
        if self.settings.database == "postgres" {
            return Ok(());
        }
        let name = self.settings.database.replace('"', "\"\"");
        let statement = format!("CREATE DATABASE \"{name}\"");
        succeed(self.psql("postgres").args(["-c", &statement]))
    }

    /// `psql` as the superuser: stops at the first error, reads no settings of a user's.
    pub(crate) fn psql(&self, database: &str) -> Command {
        let mut psql = self.command("psql");
        psql.args(["-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc"]);
        psql.arg(format!("--username={}", self.settings.user));
        psql.arg(format!("--dbname={database}"));
        psql.stdin(Stdio::null());
        psql
    }

    /// A program that finds the server by itself.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.programs.command(program);
        command
            .env("PGDATA", &self.settings.data)
            .env("PGHOST", &self.socket)
            .env_remove("PGHOSTADDR")
            .env("PGPORT", &self.port)
            .env("POSTGRES_USER", &self.settings.user)
            .env("POSTGRES_DB", &self.settings.database);
        command
    }

    pub(crate) fn stop(mut self) -> Result<(), EntryError> {
        self.runs = false;
        succeed(control(self.settings, self.programs).args(["-m", "fast", "-w", "stop"]))?;
        reap();
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    /// What it was for has failed, and nothing of it is kept.
    fn drop(&mut self) {
        if self.runs {
            let mut stop = control(self.settings, self.programs);
            let _ = succeed(stop.args(["-m", "immediate", "-w", "stop"]));
        }
    }
}

fn control(settings: &Settings, programs: &Programs) -> Command {
    let mut control = programs.command("pg_ctl");
    control
        .arg("-D")
        .arg(&settings.data)
        .env("PGUSER", &settings.user)
        .stdin(Stdio::null());
    control
}

/// Socket folder and port of a server that runs, from its own note.
fn whereabouts(data: &Path) -> Result<(PathBuf, String), EntryError> {
    let file = data.join("postmaster.pid");
    let text = fs::read_to_string(&file);
    let text = text.map_err(system(format!("reading {}", file.display())))?;
    let line = |n: usize| text.lines().nth(n).unwrap_or_default().to_owned();
    Ok((PathBuf::from(line(4)), line(3)))
}

/// As the first process of its container this program inherits the server that has ended; the next one would wonder about it.
fn reap() {
    if std::process::id() == 1 {
        while !matches!(wait(), Err(Errno::ECHILD)) {}
    }
}
