//! Processes that leave the process group of their command, which must not outlive it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{Running, TestDir};

fn fifo(dir: &TestDir) -> PathBuf {
    let path = dir.path("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    path
}

/// Starts a daemon in its own session, which has the FIFO open, then runs `rest`.
fn daemon(fifo: &Path, rest: &str) -> String {
    let fifo = fifo.display();
    format!(
        "setsid sh -c \"exec >{fifo}; echo started; exec sleep 1000\" </dev/null 2>/dev/null & {rest}"
    )
}

fn config(dir: &TestDir, script: &str, timeout: u32) -> PathBuf {
    dir.config(&format!(
        "targets: [{{name: a, livenessProbe: {{periodSeconds: 1, exec: {{command: [sh, -c, '{script}']}}, extensions: {{timeoutMilliseconds: {timeout}}}}}}}]"
    ))
}

/// Reads until no process has the FIFO open for writing.
fn read_to_end(fifo: &Path, running: Option<&Running>) -> String {
    let mut reader = BufReader::new(File::open(fifo).unwrap());
    let mut text = String::new();
    reader.read_line(&mut text).unwrap();
    if let Some(running) = running {
        running.signal(Signal::SIGTERM);
    }
    reader.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn daemon_of_a_command_is_killed_after_its_timeout() {
    let dir = TestDir::new();
    let fifo = fifo(&dir);
    let config = config(&dir, &daemon(&fifo, "wait"), 500);
    let _running = Running::start(&config, &[]);
    assert!(read_to_end(&fifo, None).starts_with("started\n"));
}

#[test]
fn daemon_with_an_empty_environment_is_killed() {
    let dir = TestDir::new();
    let fifo = fifo(&dir);
    let daemon = daemon(&fifo, "wait").replace("setsid sh", "env -i setsid sh");
    let config = config(&dir, &daemon, 500);
    let _running = Running::start(&config, &[]);
    assert!(read_to_end(&fifo, None).starts_with("started\n"));
}

#[test]
fn daemon_of_a_command_is_killed_by_the_shutdown() {
    let dir = TestDir::new();
    let fifo = fifo(&dir);
    let config = config(&dir, &daemon(&fifo, "wait"), 600_000);
    let mut running = Running::start(&config, &[]);
    assert_eq!(read_to_end(&fifo, Some(&running)), "started\n");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn orphan_of_a_running_command_is_not_killed() {
    let dir = TestDir::new();
    let fifo = fifo(&dir);
    // The subshell exits at once, so the sidecar is the parent of the daemon; the second target starts many commands.
    let script = format!(
        "(setsid sh -c \"sleep 0.5; echo alive >{}\" &); sleep 1000",
        fifo.display()
    );
    let exec = |name, script: &str, period| {
        format!(
            "{{name: {name}, livenessProbe: {{exec: {{command: [sh, -c, '{script}']}}, extensions: {{periodMilliseconds: {period}, timeoutMilliseconds: 600000}}}}}}"
        )
    };
    let config = dir.config(&format!(
        "targets: [{}, {}]",
        exec("a", &script, 1000),
        exec("b", "exit 0", 20)
    ));
    let _running = Running::start(&config, &[]);
    assert_eq!(std::fs::read_to_string(fifo).unwrap(), "alive\n");
}
