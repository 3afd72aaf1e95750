//! The real program: settings, signals and exit codes.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{
    io::Read,
    net::TcpStream,
    ops::{Deref, DerefMut},
    process::{Command, Output, Stdio},
};

use nix::sys::signal::Signal;
use test_support::program::Program;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_numbers-api"));
    command.env_clear().stderr(Stdio::piped());
    command
}

/// A running instance, killed on drop.
struct Running(Program);

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
    fn start(flags: &[&str]) -> Self {
        let mut command = program();
        command
            .args(["--listen=127.0.0.1:0", "--log-format=json"])
            .args(flags);
        Self(Program::spawn_server(command, "\"address\":\""))
    }

    /// Waits for a log line with these words.
    #[track_caller]
    fn logged(&mut self, words: &str) -> String {
        self.wait_for_line(&[words])
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn starts_with(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

#[test]
fn it_serves_and_ends_on_sigterm_with_0() {
    let mut running = Running::start(&[]);
    starts_with(&running.get("/healthz"), "200");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn it_turns_unready_first_and_a_second_signal_cuts_the_end_short() {
    let mut running = Running::start(&["--shutdown-delay=1h"]);
    starts_with(&running.get("/readyz"), "200");
    running.signal(Signal::SIGTERM);
    running.logged("unready");
    starts_with(&running.get("/readyz"), "503");
    starts_with(&running.get("/livez"), "200");
    running.signal(Signal::SIGINT);
    assert_eq!(running.exit_code(), Some(128 + 2));
}

#[test]
fn a_request_in_hand_is_answered_before_the_end() {
    let mut running = Running::start(&["--fault=rng:always:slow=1s", "--log-level=debug"]);
    let slow = running.send("/rng");
    running.logged("fault strikes");
    running.signal(Signal::SIGTERM);
    running.logged("unready");
    starts_with(&read(slow), "200");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_request_that_outlives_the_grace_is_dropped_and_the_exit_code_says_so() {
    let mut running = Running::start(&[
        "--fault=rng:always:hang",
        "--shutdown-grace=10ms",
        "--log-level=debug",
    ]);
    let hung = running.send("/rng");
    running.logged("fault strikes");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.exit_code(), Some(1));
    assert_eq!(read(hung), "");
}

#[test]
fn a_crash_exits_with_its_code() {
    let mut running = Running::start(&["--fault=livez:always:crash=42"]);
    assert_eq!(running.get("/livez"), "");
    assert_eq!(running.exit_code(), Some(42));
}

#[test]
fn the_chapters_variables_are_read() {
    let mut command = program();
    command
        .env("FailAfterCallCount", "1")
        .env("UseFailureId", "True")
        .args(["--listen=127.0.0.1:0", "--help"]);
    let help = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert!(help.contains("[env: FailAfterCallCount=1]"), "{help}");
    assert!(help.contains("[env: UseFailureId=True]"), "{help}");
}

#[track_caller]
fn refused(variable: &str, value: &str) {
    let Output { status, stderr, .. } = program().env(variable, value).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{variable}={value}: {stderr}");
    assert!(
        stderr.contains(variable) && stderr.contains(value),
        "{stderr}"
    );
}

#[test]
fn a_bad_value_is_refused_with_2_and_its_variable_named() {
    refused("FailAfterCallCount", "abc");
    refused("FailAfterCallCount", "-1");
    refused("FailAfterCallCount", "18446744073709551616");
    refused("UseFailureId", "perhaps");
    refused("LISTEN", "localhost");
    refused("LOG_LEVEL", "hyper=loud");
    refused("LOG_FORMAT", "xml");
    refused("SHUTDOWN_GRACE", "soon");
    refused("FAULTS", "livez:next=3:explode");
    refused("ENABLE_FAULT_API", "perhaps");
}

#[test]
fn a_bad_flag_is_refused_with_2_and_the_flag_named() {
    let output = program()
        .arg("--fail-after-call-count=abc")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("--fail-after-call-count") && !stderr.contains("environment"),
        "{stderr}"
    );
}

#[test]
fn a_port_that_is_taken_ends_it_with_1() {
    let running = Running::start(&[]);
    let output = program()
        .args(["--listen", &running.address])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(&running.address), "{stderr}");
}

#[test]
fn endpoints_fail_during_the_startup_delay_except_livez() {
    let running = Running::start(&["--startup-delay=1h"]);
    for path in ["/healthz", "/readyz", "/startupz", "/rng"] {
        starts_with(&running.get(path), "503");
    }
    starts_with(&running.get("/livez"), "200");
}

#[test]
fn startup_delay_is_divided_by_the_clock_speed_of_the_environment() {
    let mut command = program();
    command
        .env("SELFHEAL_CLOCK_SPEED", "10000")
        .args(["--listen=127.0.0.1:0", "--startup-delay=10s"]);
    let mut running = Running(Program::spawn(command));
    let line = running.logged("starting");
    assert!(line.contains("delay=1ms"), "{line}");
    running.logged("start is over");
}

#[test]
fn call_that_breaks_the_instance_is_logged() {
    let mut running = Running::start(&["--fail-after-call-count=2"]);
    starts_with(&running.get("/rng"), "200");
    starts_with(&running.get("/rng"), "200");
    let line = running.logged("broken: ");
    assert!(line.contains("\"calls\":2"), "{line}");
    starts_with(&running.get("/rng"), "500");
    running.logged("/rng failed: broken");
}
