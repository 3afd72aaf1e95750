//! Actions of the real program on processes, files and servers, with their audit log.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::{JoinHandle, spawn};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Running, TestDir, tcp};

/// Returns the configuration of a target without a listener and of an action triggered by it.
fn config(dir: &TestDir, action: &str) -> std::path::PathBuf {
    let action = format!("{{name: x, when: {{probe: livez/a}}, {action}}}");
    dir.config(&format!("{}actions: [{action}]\n", tcp(1)))
}

/// Returns the detail of the next line of the audit log, which must have this outcome.
fn audit(running: &mut Running, outcome: &str) -> String {
    let line = running.wait_for_log("\"message\":\"action\"");
    let line: Value = serde_json::from_str(&line).unwrap();
    let found = ["action", "probe", "became", "outcome"].map(|field| line[field].clone());
    assert_eq!(found, ["x", "livez/a", "unhealthy", outcome], "{line}");
    line["detail"].as_str().unwrap().to_owned()
}

fn assert_counted(running: &Running, outcome: &str, times: u32) {
    let metrics = running.get("/metrics");
    let line =
        format!("probe_sidecar_actions_total{{action=\"x\",outcome=\"{outcome}\"}} {times}\n");
    assert!(metrics.contains(&line), "{line}{metrics}");
}

fn assert_event(text: &str) {
    let mut event: Value = serde_json::from_str(text).unwrap();
    assert!(event["at"].take().as_str().unwrap().starts_with("20"));
    assert!(
        event["output"]
            .take()
            .as_str()
            .unwrap()
            .contains("127.0.0.1:1")
    );
    let expected = json!({
        "action": "x", "probe": "livez/a", "became": "unhealthy",
        "reason": "refused", "code": null, "output": null, "at": null, "resolved": false,
    });
    assert_eq!(event, expected);
}

/// Receives one request and sends a response, or none; returns its head and body.
fn receiver(answer: Option<&'static str>) -> (u16, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        receive(stream, answer)
    });
    (port, received)
}

fn receive(mut stream: TcpStream, answer: Option<&str>) -> (String, String) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let length = head.to_lowercase();
    let length = length.split("content-length: ").nth(1).unwrap();
    let length = length.split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    match answer {
        Some(status) => write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").unwrap(),
        // Wait until the client closes the connection.
        None => drop(reader.read(&mut [0])),
    }
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn webhook_sends_the_event_and_its_response_is_the_outcome() {
    for (answer, outcome, detail) in [
        (
            Some("204 No Content"),
            "executed",
            "response: 204 No Content",
        ),
        (
            Some("500 Internal Server Error"),
            "failed",
            "response: 500 Internal Server Error",
        ),
        (None, "failed", "no response within 1s"),
    ] {
        let (port, received) = receiver(answer);
        let dir = TestDir::new();
        let config = config(
            &dir,
            &format!(
                "webhook: {{url: 'http://127.0.0.1:{port}/hook?a=b', timeoutSeconds: 1, headers: [{{name: X-Token, value: secret}}]}}"
            ),
        );
        let mut running = Running::start(&config, &["--actions=on"]);
        assert_eq!(audit(&mut running, outcome), detail);
        let (head, body) = received.join().unwrap();
        assert!(head.starts_with("POST /hook?a=b HTTP/1.1\r\n"), "{head}");
        for line in ["x-token: secret", "content-type: application/json"] {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
        }
        assert_event(&body);
        assert_counted(&running, outcome, 1);
    }
}

#[test]
fn file_is_written_with_the_event_or_the_configured_content() {
    for content in ["", ", content: \"down\\n\""] {
        let dir = TestDir::new();
        let path = dir.path("event");
        let action = format!("writeFile: {{path: {}{content}}}", path.display());
        let config = config(&dir, &action);
        let mut running = Running::start(&config, &["--actions=on"]);
        assert_eq!(audit(&mut running, "executed"), "written");
        let written = fs::read_to_string(&path).unwrap();
        if content.is_empty() {
            assert_event(&written);
        } else {
            assert_eq!(written, "down\n");
        }
        assert!(!dir.path("event.new").exists());
        assert_counted(&running, "executed", 1);
    }
}

#[test]
fn file_that_cannot_be_written_is_a_failed_action() {
    let dir = TestDir::new();
    let path = dir.path("no-dir/event");
    let action = format!("writeFile: {{path: {}}}", path.display());
    let mut running = Running::start(&config(&dir, &action), &["--actions=on"]);
    let detail = audit(&mut running, "failed");
    let expected = format!("{}: No such file or directory", path.display());
    assert!(detail.starts_with(&expected), "{detail}");
    assert!(running.get("/livez").starts_with("HTTP/1.1 503 "));
    assert_counted(&running, "failed", 1);
}

#[test]
fn command_runs_and_its_output_is_logged() {
    for (script, outcome, expected) in [
        ("echo healed", "executed", "healed\n"),
        ("echo cannot >&2; exit 3", "failed", "exit_code 3: cannot"),
        ("sleep 1000", "failed", "timed out after 1s"),
    ] {
        let dir = TestDir::new();
        let action = format!("exec: {{command: [sh, -c, '{script}'], timeoutSeconds: 1}}");
        let mut running = Running::start(&config(&dir, &action), &["--actions=on"]);
        let detail = audit(&mut running, outcome);
        assert!(detail.contains(expected), "{detail}");
        assert_counted(&running, outcome, 1);
    }
}

#[test]
fn throttled_action_is_logged_and_does_not_run() {
    for (limit, expected) in [
        ("coolDownSeconds: 3600", "cool-down: 35"),
        (
            "coolDownSeconds: 0, budget: {count: 1, windowSeconds: 3600}",
            "budget exhausted: 35",
        ),
    ] {
        let dir = TestDir::new();
        let path = dir.path("executed");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let action = format!(
            "{limit}, exec: {{command: [sh, -c, 'echo once >> {}']}}",
            path.display()
        );
        let config = dir.config(&format!(
            "{}actions: [{{name: x, when: {{probe: livez/a}}, {action}}}]\n",
            tcp(address.port())
        ));
        let mut running = Running::start(&config, &["--actions=on"]);
        running.wait_for_log("\"healthy\"");
        drop(listener);
        audit(&mut running, "executed");
        let listener = TcpListener::bind(address).unwrap();
        running.wait_for_log("\"healthy\"");
        drop(listener);
        let detail = audit(&mut running, "throttled");
        assert!(detail.starts_with(expected), "{detail}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "once\n");
        assert_counted(&running, "executed", 1);
        assert_counted(&running, "throttled", 1);
    }
}

#[test]
fn dry_run_is_logged_without_effect() {
    for (flag, own) in [
        ("--actions=dry-run", ""),
        ("--actions=on", "dryRun: true, "),
    ] {
        let dir = TestDir::new();
        let path = dir.path("executed");
        let action = format!("{own}writeFile: {{path: {}}}", path.display());
        let mut running = Running::start(&config(&dir, &action), &[flag]);
        assert_eq!(audit(&mut running, "dry_run"), "would have been executed");
        running.signal(Signal::SIGTERM);
        assert_eq!(running.exit_code(), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn signal_action_signals_the_selected_process() {
    let dir = TestDir::new();
    let victim = dir.path("probe-victim");
    fs::copy("/bin/sleep", &victim).unwrap();
    for process in [
        "name: probe-victim".to_owned(),
        format!("executable: {}", victim.display()),
    ] {
        let mut child = Command::new(&victim).arg("1000").spawn().unwrap();
        let config = dir.config(&format!(
            "{}actions: [{{name: x, when: {{probe: livez/a}}, signal: {{name: SIGUSR1, process: {{{process}}}}}}}]",
            tcp(1)
        ));
        let mut running = Running::start(&config, &["--actions=on"]);
        let line = running.wait_for_log("\"outcome\":\"executed\"");
        assert!(
            line.contains(&format!("signalled [{}]", child.id())),
            "{line}"
        );
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(Signal::SIGUSR1 as i32));
    }
}

#[test]
fn exit_action_ends_the_sidecar_with_its_code() {
    let dir = TestDir::new();
    let config = dir.config(&format!(
        "{}actions: [{{name: x, when: {{probe: livez/a}}, exit: {{code: 42}}}}]",
        tcp(1)
    ));
    let mut off = Running::start(&config, &[]);
    off.wait_for_log("unhealthy");
    off.signal(Signal::SIGTERM);
    assert_eq!(off.exit_code(), Some(0));
    let mut on = Running::start(&config, &["--actions=on"]);
    assert_eq!(on.exit_code(), Some(42));
}

#[test]
fn command_gets_the_event_as_environment_and_standard_input() {
    let dir = TestDir::new();
    let path = dir.path("event");
    let script = "echo $PROBE_ACTION $PROBE_NAME $PROBE_BECAME $PROBE_REASON; cat";
    let action = format!(
        "exec: {{command: [sh, -c, '({script}) > {path}.new; mv {path}.new {path}']}}",
        path = path.display()
    );
    let mut running = Running::start(&config(&dir, &action), &["--actions=on"]);
    audit(&mut running, "executed");
    let text = fs::read_to_string(&path).unwrap();
    let (environment, stdin) = text.split_once('\n').unwrap();
    assert_eq!(environment, "x livez/a unhealthy refused");
    assert_event(stdin);
}

#[test]
fn webhook_body_is_rendered_from_its_template() {
    let (port, received) = receiver(Some("200 OK"));
    let dir = TestDir::new();
    let action = format!(
        "webhook: {{url: 'http://127.0.0.1:{port}/', body: '{{\"text\": \"${{NAME}} is ${{BECAME}}\"}}'}}"
    );
    let _running = Running::start(&config(&dir, &action), &["--actions=on"]);
    let (_, body) = received.join().unwrap();
    assert_eq!(body, "{\"text\": \"livez/a is unhealthy\"}");
}

#[test]
fn webhook_is_retried_until_its_receiver_listens() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let dir = TestDir::new();
    let action = format!("webhook: {{url: 'http://{address}/'}}");
    let mut running = Running::start(&config(&dir, &action), &["--actions=on"]);
    audit(&mut running, "failed");
    let listener = TcpListener::bind(address).unwrap();
    let (stream, _) = listener.accept().unwrap();
    receive(stream, Some("200 OK"));
    running.wait_for_log("\"outcome\":\"executed\"");
}

#[test]
fn process_that_ignores_sigterm_is_killed_after_the_configured_time() {
    let dir = TestDir::new();
    let program = dir.path("probe-stubborn");
    fs::copy("/bin/sh", &program).unwrap();
    let mut child = Command::new(&program)
        .args(["-c", "trap '' TERM; echo ready; kill -STOP $$"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let action = format!(
        "signal: {{process: {{executable: {}}}, killAfterSeconds: 1}}",
        program.display()
    );
    let mut running = Running::start(&config(&dir, &action), &["--actions=on"]);
    let detail = audit(&mut running, "executed");
    assert!(
        detail.ends_with(&format!("killed [{}] after 1s", child.id())),
        "{detail}"
    );
    let signal = child.wait().unwrap().signal();
    assert_eq!(signal, Some(Signal::SIGKILL as i32));
}

#[test]
fn signal_action_never_signals_commands_of_the_sidecar() {
    let dir = TestDir::new();
    let program = dir.path("probe-command");
    fs::copy("/bin/sleep", &program).unwrap();
    let fifo = dir.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let exec = format!(
        "{{name: b, livenessProbe: {{exec: {{command: [sh, -c, 'echo > {}; exec {} 1000']}}, timeoutSeconds: 600}}}}",
        fifo.display(),
        program.display()
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let targets = tcp(listener.local_addr().unwrap().port());
    let targets = targets.trim_end().trim_end_matches(']');
    let config = dir.config(&format!(
        "{targets}, {exec}]\nactions: [{{name: x, when: {{probe: livez/a}}, signal: {{process: {{executable: {}}}}}}}]",
        program.display()
    ));
    let mut running = Running::start(&config, &["--actions=on"]);
    fs::read(&fifo).unwrap();
    drop(listener);
    let detail = audit(&mut running, "failed");
    assert!(detail.contains("not found"), "{detail}");
}

#[test]
fn budget_in_a_state_file_survives_a_restart() {
    let dir = TestDir::new();
    let state = format!("--state-file={}", dir.path("state.json").display());
    let action = "exit: {code: 7}, budget: {count: 1, windowSeconds: 3600}";
    let config = config(&dir, action);
    let mut first = Running::start(&config, &["--actions=on", &state]);
    assert_eq!(first.exit_code(), Some(7));
    let mut second = Running::start(&config, &["--actions=on", &state]);
    let detail = audit(&mut second, "throttled");
    assert!(detail.starts_with("budget exhausted"), "{detail}");
    second.signal(Signal::SIGTERM);
    assert_eq!(second.exit_code(), Some(0));
}
