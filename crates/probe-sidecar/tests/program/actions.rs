//! Actions done by a real sidecar: to processes, files and servers, and what the log says of each.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread::{JoinHandle, spawn};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::rig::{Folder, Running, tcp};

/// A target that nobody listens for, and an action that is due as soon as that is found.
fn config(folder: &Folder, action: &str) -> std::path::PathBuf {
    let action = format!("{{name: x, when: {{probe: livez/a}}, {action}}}");
    folder.config(&format!("{}actions: [{action}]\n", tcp(1)))
}

/// The next line of the audit log, which has to be about this action.
fn audit(running: &mut Running, outcome: &str) -> String {
    let line = running.logged("\"message\":\"action\"");
    let line: Value = serde_json::from_str(&line).unwrap();
    let told = ["action", "probe", "became", "outcome"].map(|field| line[field].clone());
    assert_eq!(told, ["x", "livez/a", "unhealthy", outcome], "{line}");
    line["detail"].as_str().unwrap().to_owned()
}

fn counted(running: &Running, outcome: &str, times: u32) {
    let metrics = running.get("/metrics");
    let line =
        format!("probe_sidecar_actions_total{{action=\"x\",outcome=\"{outcome}\"}} {times}\n");
    assert!(metrics.contains(&line), "{line}{metrics}");
}

fn is_the_story(text: &str) {
    let mut story: Value = serde_json::from_str(text).unwrap();
    assert!(story["at"].take().as_str().unwrap().starts_with("20"));
    assert!(
        story["output"]
            .take()
            .as_str()
            .unwrap()
            .contains("127.0.0.1:1")
    );
    let expected = json!({
        "action": "x", "probe": "livez/a", "became": "unhealthy",
        "reason": "refused", "code": null, "output": null, "at": null,
    });
    assert_eq!(story, expected);
}

/// Takes one request and answers it so, or never; returns its head and body.
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
        // Until the other end has lost its patience.
        None => drop(reader.read(&mut [0])),
    }
    (head, String::from_utf8(body).unwrap())
}

#[test]
fn a_webhook_is_told_the_story_and_its_answer_is_what_the_action_came_to() {
    for (answer, outcome, detail) in [
        (
            Some("204 No Content"),
            "done",
            "answered with 204 No Content",
        ),
        (
            Some("500 Internal Server Error"),
            "failed",
            "answered with 500 Internal Server Error",
        ),
        (None, "failed", "no answer within 1s"),
    ] {
        let (port, received) = receiver(answer);
        let folder = Folder::new();
        let config = config(
            &folder,
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
        is_the_story(&body);
        counted(&running, outcome, 1);
    }
}

#[test]
fn a_file_is_written_with_the_story_or_with_what_was_asked_for() {
    for content in ["", ", content: \"down\\n\""] {
        let folder = Folder::new();
        let path = folder.path("told");
        let action = format!("writeFile: {{path: {}{content}}}", path.display());
        let config = config(&folder, &action);
        let mut running = Running::start(&config, &["--actions=on"]);
        assert_eq!(audit(&mut running, "done"), "written");
        let written = fs::read_to_string(&path).unwrap();
        if content.is_empty() {
            is_the_story(&written);
        } else {
            assert_eq!(written, "down\n");
        }
        assert!(!folder.path("told.new").exists());
        counted(&running, "done", 1);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_a_failure_and_the_sidecar_goes_on() {
    let folder = Folder::new();
    let path = folder.path("no-folder/told");
    let action = format!("writeFile: {{path: {}}}", path.display());
    let mut running = Running::start(&config(&folder, &action), &["--actions=on"]);
    let detail = audit(&mut running, "failed");
    let expected = format!("{}: No such file or directory", path.display());
    assert!(detail.starts_with(&expected), "{detail}");
    assert!(running.get("/livez").starts_with("HTTP/1.1 503 "));
    counted(&running, "failed", 1);
}

#[test]
fn a_command_is_run_and_what_it_says_is_in_the_log() {
    for (script, outcome, expected) in [
        ("echo healed", "done", "healed\n"),
        ("echo cannot >&2; exit 3", "failed", "ExitCode(3)"),
        ("sleep 1000", "failed", "timed out after 1s"),
    ] {
        let folder = Folder::new();
        let action = format!("exec: {{command: [sh, -c, '{script}'], timeoutSeconds: 1}}");
        let mut running = Running::start(&config(&folder, &action), &["--actions=on"]);
        let detail = audit(&mut running, outcome);
        assert!(detail.contains(expected), "{detail}");
        counted(&running, outcome, 1);
    }
}

#[test]
fn what_an_action_is_held_back_by_is_told_and_keeps_it_from_being_done() {
    for (limit, expected) in [
        ("coolDownSeconds: 3600", "cools down for another 35"),
        (
            "coolDownSeconds: 0, budget: {count: 1, windowSeconds: 3600}",
            "its budget is spent for another 35",
        ),
    ] {
        let folder = Folder::new();
        let path = folder.path("done");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let action = format!(
            "{limit}, exec: {{command: [sh, -c, 'echo once >> {}']}}",
            path.display()
        );
        let config = folder.config(&format!(
            "{}actions: [{{name: x, when: {{probe: livez/a}}, {action}}}]\n",
            tcp(address.port())
        ));
        let mut running = Running::start(&config, &["--actions=on"]);
        running.logged("\"healthy\"");
        drop(listener);
        audit(&mut running, "done");
        let listener = TcpListener::bind(address).unwrap();
        running.logged("\"healthy\"");
        drop(listener);
        let detail = audit(&mut running, "held");
        assert!(detail.starts_with(expected), "{detail}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "once\n");
        counted(&running, "done", 1);
        counted(&running, "held", 1);
    }
}

#[test]
fn a_dry_run_is_told_of_and_nothing_is_done() {
    for (flag, own) in [
        ("--actions=dry-run", ""),
        ("--actions=on", "dryRun: true, "),
    ] {
        let folder = Folder::new();
        let path = folder.path("done");
        let action = format!("{own}writeFile: {{path: {}}}", path.display());
        let mut running = Running::start(&config(&folder, &action), &[flag]);
        assert_eq!(audit(&mut running, "dry_run"), "would have been done");
        running.signal(Signal::SIGTERM);
        assert_eq!(running.exit_code(), Some(0));
        assert!(!path.exists());
    }
}

#[test]
fn an_action_signals_the_process_that_is_named() {
    let folder = Folder::new();
    let victim = folder.path("probe-victim");
    fs::copy("/bin/sleep", &victim).unwrap();
    for process in [
        "name: probe-victim".to_owned(),
        format!("executable: {}", victim.display()),
    ] {
        let mut child = Command::new(&victim).arg("1000").spawn().unwrap();
        let config = folder.config(&format!(
            "{}actions: [{{name: x, when: {{probe: livez/a}}, signal: {{name: SIGUSR1, process: {{{process}}}}}}}]",
            tcp(1)
        ));
        let mut running = Running::start(&config, &["--actions=on"]);
        let line = running.logged("\"outcome\":\"done\"");
        assert!(
            line.contains(&format!("signalled [{}]", child.id())),
            "{line}"
        );
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(Signal::SIGUSR1 as i32));
    }
}

#[test]
fn an_action_ends_the_sidecar_with_its_code() {
    let folder = Folder::new();
    let config = folder.config(&format!(
        "{}actions: [{{name: x, when: {{probe: livez/a}}, exit: {{code: 42}}}}]",
        tcp(1)
    ));
    let mut off = Running::start(&config, &[]);
    off.logged("unhealthy");
    off.signal(Signal::SIGTERM);
    assert_eq!(off.exit_code(), Some(0));
    let mut on = Running::start(&config, &["--actions=on"]);
    assert_eq!(on.exit_code(), Some(42));
}
