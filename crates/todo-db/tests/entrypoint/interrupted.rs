//! Signals and other instances during the initialization.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use test_support::Requirement;

use crate::container::{COMPLETE, Container, Db, READY, as_ordinary_user, assert_fails};

const ENV: [(&str, &str); 1] = [("POSTGRES_PASSWORD", "p")];

/// Starts an entrypoint, which stays in its script until the fifo is written.
fn start_blocked(container: &Container) -> Db {
    let fifo = container.path("fifo");
    if !fifo.exists() {
        mkfifo(&fifo, Mode::all()).unwrap();
    }
    let script = format!("echo in script >&2; read -r line < {}\n", fifo.display());
    container.script("1.sh", 0o644, &script);
    let mut db = Db::spawn(as_ordinary_user(&mut container.server(&ENV)));
    db.wait_for_line(&["in script"]);
    db
}

#[test]
fn second_instance_leaves_an_initialization_unchanged() {
    let Some(container) = Container::new() else {
        return;
    };
    let mut first = start_blocked(&container);
    let second = container.output(&ENV);
    assert_fails(&second, &["being initialized by another instance"]);
    fs::write(container.path("fifo"), "go on\n").unwrap();
    first.wait_for_line(&[COMPLETE]);
    first.wait_for_line(&[READY]);
    let one = container.psql("postgres", "p", "postgres", "select 1");
    assert_eq!(one.unwrap(), "1");
}

#[test]
fn signal_during_the_initialization_stops_the_server_and_the_next_start_initializes_again() {
    let Some(container) = Container::new() else {
        return;
    };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut db = start_blocked(&container);
        db.signal(signal);
        assert_eq!(db.exit_code(), Some(128 + signal as i32), "{:?}", db.log);
        assert!(!container.path("data/postmaster.pid").exists());
    }
    container.script("1.sh", 0o644, "true\n");
    let db = container.start(&ENV);
    let again = "the last initialization was interrupted";
    assert!(
        db.log.iter().any(|line| line.contains(again)),
        "{:?}",
        db.log
    );
}

#[test]
fn killed_initialization_is_discarded_by_the_next_start() {
    let Some(container) = Container::new() else {
        return;
    };
    let mut db = start_blocked(&container);
    db.signal(Signal::SIGKILL);
    assert_eq!(db.child.wait().unwrap().signal(), Some(9));
    // The kernel kills all processes of a container with its first one; here the server is left.
    let pid = fs::read_to_string(container.path("data/postmaster.pid")).unwrap();
    let pid = Pid::from_raw(pid.lines().next().unwrap().parse().unwrap());
    kill(pid, Signal::SIGQUIT).unwrap();
    fs::write(container.path("fifo"), "go on\n").unwrap();
    // The end of the log is the exit of all processes.
    db.exit_code();
    container.script("1.sh", 0o644, "true\n");
    let _db = container.start(&ENV);
}

/// The kernel ignores signals without a handler for this process.
#[test]
fn first_process_of_a_container_can_be_interrupted() {
    let Some(container) = Container::new() else {
        return;
    };
    if test_support::postgres::ordinary_user().is_none() {
        test_support::skip(Requirement::Root, "the user is not root");
        return;
    }
    container.script("1.sh", 0o644, "echo in script >&2; exec sleep 1000\n");
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork"]);
    let server = container.server(&ENV);
    let mut db = Db::spawn(container.wrap(&server, &mut unshare));
    db.wait_for_line(&["in script"]);
    let pid = db.child.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let first = Pid::from_raw(children.trim().parse().unwrap());
    kill(first, Signal::SIGTERM).unwrap();
    assert_eq!(db.exit_code(), Some(128 + 15), "{:?}", db.log);
}
