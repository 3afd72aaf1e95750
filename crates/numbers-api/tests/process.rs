//! The program: settings, signals and exit codes.
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

/// TestServer instance, killed on drop.
struct TestServer(Program);

impl Deref for TestServer {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl DerefMut for TestServer {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.0
    }
}

impl TestServer {
    fn start(flags: &[&str]) -> Self {
        let mut command = program();
        command
            .args(["--listen=127.0.0.1:0", "--log-format=json"])
            .args(flags);
        Self(Program::spawn_server(command, "\"address\":\""))
    }

    /// Waits for a log line that contains `text`.
    #[track_caller]
    fn wait_for_log(&mut self, text: &str) -> String {
        self.wait_for_line(&[text])
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn assert_status(answer: &str, status: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{answer}"
    );
}

#[test]
fn sigterm_stops_the_server_with_exit_code_0() {
    let mut server = TestServer::start(&[]);
    assert_status(&server.get("/healthz"), "200");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn second_signal_aborts_the_shutdown_delay() {
    let mut server = TestServer::start(&["--shutdown-delay=1h"]);
    assert_status(&server.get("/readyz"), "200");
    server.signal(Signal::SIGTERM);
    server.wait_for_log("unready");
    assert_status(&server.get("/readyz"), "503");
    assert_status(&server.get("/livez"), "200");
    server.signal(Signal::SIGINT);
    assert_eq!(server.exit_code(), Some(128 + 2));
}

#[test]
fn open_request_is_answered_before_the_exit() {
    let mut server = TestServer::start(&["--fault=rng:always:slow=1s", "--log-level=debug"]);
    let slow = server.send("/rng");
    server.wait_for_log("fault injected");
    server.signal(Signal::SIGTERM);
    server.wait_for_log("unready");
    assert_status(&read(slow), "200");
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn request_that_exceeds_the_grace_is_closed_with_exit_code_1() {
    let mut server = TestServer::start(&[
        "--fault=rng:always:hang",
        "--shutdown-grace=10ms",
        "--log-level=debug",
    ]);
    let hung = server.send("/rng");
    server.wait_for_log("fault injected");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code(), Some(1));
    assert_eq!(read(hung), "");
}

#[test]
fn crash_exits_with_its_code() {
    let mut server = TestServer::start(&["--fault=livez:always:crash=42"]);
    assert_eq!(server.get("/livez"), "");
    assert_eq!(server.exit_code(), Some(42));
}

#[test]
fn chapters_variables_are_read() {
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
fn assert_rejected(variable: &str, value: &str) {
    let Output { status, stderr, .. } = program().env(variable, value).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{variable}={value}: {stderr}");
    assert!(
        stderr.contains(variable) && stderr.contains(value),
        "{stderr}"
    );
}

#[test]
fn invalid_variable_is_rejected_by_its_name() {
    assert_rejected("FailAfterCallCount", "abc");
    assert_rejected("FailAfterCallCount", "-1");
    assert_rejected("FailAfterCallCount", "18446744073709551616");
    assert_rejected("UseFailureId", "perhaps");
    assert_rejected("LISTEN", "localhost");
    assert_rejected("LOG_LEVEL", "hyper=loud");
    assert_rejected("LOG_FORMAT", "xml");
    assert_rejected("SHUTDOWN_GRACE", "soon");
    assert_rejected("FAULTS", "livez:next=3:explode");
    assert_rejected("ENABLE_FAULT_API", "perhaps");
}

#[test]
fn invalid_flag_is_rejected_by_its_name() {
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
fn address_in_use_exits_with_code_1() {
    let server = TestServer::start(&[]);
    let output = program()
        .args(["--listen", &server.address])
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains(&server.address), "{stderr}");
}

#[test]
fn endpoints_fail_during_the_startup_delay_except_livez() {
    let server = TestServer::start(&["--startup-delay=1h"]);
    for path in ["/healthz", "/readyz", "/startupz", "/rng"] {
        assert_status(&server.get(path), "503");
    }
    assert_status(&server.get("/livez"), "200");
}

#[test]
fn startup_delay_is_divided_by_the_clock_speed_of_the_environment() {
    let mut command = program();
    command
        .env("SELFHEAL_CLOCK_SPEED", "10000")
        .args(["--listen=127.0.0.1:0", "--startup-delay=10s"]);
    let mut server = TestServer(Program::spawn(command));
    let line = server.wait_for_log("starting");
    assert!(line.contains("delay=1ms"), "{line}");
    server.wait_for_log("startup delay expired");
}

#[test]
fn call_that_breaks_the_instance_is_logged() {
    let mut server = TestServer::start(&["--fail-after-call-count=2"]);
    assert_status(&server.get("/rng"), "200");
    assert_status(&server.get("/rng"), "200");
    let line = server.wait_for_log("broken: ");
    assert!(line.contains("\"calls\":2"), "{line}");
    assert_status(&server.get("/rng"), "500");
    server.wait_for_log("/rng failed: broken");
}
