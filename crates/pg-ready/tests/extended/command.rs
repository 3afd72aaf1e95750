//! `--wait`, the command, the output, and the tables of `--help` and README.md.

use super::*;

#[test]
fn wait_for_a_server_that_starts_executes_the_command() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    let line = format!(
        "-h {} -p {} --wait=60s -- printf %s:%s",
        server.dir().display(),
        server.port
    );
    let waiting = Command::new(env!("CARGO_BIN_EXE_pg-ready"))
        .args(line.split_whitespace())
        .args(["a b", "c"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let server = server.started();
    let output = waiting.wait_with_output().unwrap();
    let label = format!("{}:{}", server.dir().display(), server.port);
    assert_eq!(
        text(&output.stdout),
        format!("{label} - accepting connections\na b:c")
    );
    for line in text(&output.stderr).lines() {
        assert!(line.starts_with(&format!("pg-ready: {label} - ")), "{line}");
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn exit_code_is_that_of_the_command_if_the_server_is_ready() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    for (line, more, code) in [
        ("-p 1 --wait=150ms --", vec!["sh", "-c", "exit 7"], 2),
        ("-p {port} --", vec!["sh", "-c", "exit 7"], 7),
        ("-p {port} --", vec!["no-such-program"], 127),
        ("-p {port} --", vec!["/"], 126),
        ("-p nonsense --wait=150ms --", vec!["true"], 2),
        ("--wait=60s -d nonsense=1 --", vec!["true"], 3),
    ] {
        let output = pg_ready(&server, &format!("-q -h 127.0.0.1 {line}"), &more, &[]);
        assert_eq!(output.status.code(), Some(code), "{line} {output:?}");
    }
}

#[test]
fn text_output_has_the_reason_of_a_failed_check() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::start(&bin, "");
    let port = server.port;
    let line = "-h 127.0.0.1 -p {port} -U missing";
    let plain = pg_ready(&server, line, &[], &[]);
    assert_eq!(
        text(&plain.stdout),
        format!("127.0.0.1:{port} - accepting connections\n")
    );
    let checked = pg_ready(&server, line, &["--check=login"], &[]);
    assert_eq!(
        text(&checked.stdout),
        format!(
            "127.0.0.1:{port} - rejecting connections (no_such_role: role \"missing\" does not exist)\n"
        )
    );
    assert_eq!(checked.status.code(), Some(1));
    // Without a check the reason is only in the JSON output.
    let report = json(&pg_ready(&server, line, &["--output=json"], &[]));
    assert_eq!(report["reason"], "role \"missing\" does not exist");
}

#[test]
fn usage_error_is_no_attempt() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    for line in [
        "--nope",
        "extra",
        "--check=nope",
        "--check",
        "--wait=x",
        "--output=xml",
        "--check=login -t x",
        "--check=login -d nonsense=1",
        "--",
    ] {
        let output = pg_ready(&server, line, &[], &[]);
        assert_eq!(output.status.code(), Some(3), "{line}");
        let error = text(&output.stderr);
        assert!(error.starts_with("pg-ready: error: "), "{line}: {error}");
    }
}

#[test]
fn json_is_printed_for_an_invalid_command_line_too() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = Server::prepare(&bin, "");
    for (line, expected) in [
        ("--output=json --nope", "no_attempt"),
        ("--output json --check=nope", "no_attempt"),
        ("--output=json -d nonsense=1", "no_attempt"),
        ("--output=json -h 127.0.0.1 -p x", "invalid_server"),
        ("--output=json -d hostaddr=x", "invalid_server"),
    ] {
        let output = pg_ready(&server, line, &[], &[]);
        assert_eq!(state(&output), expected, "{line}");
        assert_eq!(json(&output)["format_version"], 1);
        assert!(json(&output)["reason"].is_string(), "{line}");
    }
    let invalid = json(&pg_ready(
        &server,
        "--output=json -h 127.0.0.1 -p x",
        &[],
        &[],
    ));
    assert_eq!(invalid["reason"], "invalid port \"x\"");
    assert_eq!(invalid["server"]["host"], "127.0.0.1");
}

#[test]
fn server_in_recovery_is_alive() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let recovering = Server::start_in_recovery(&bin);
    let line = "-h 127.0.0.1 -p {port} -U app --output=json";
    let ready = pg_ready(&recovering, line, &[], &[]);
    assert_eq!(ready.status.code(), Some(1));
    let alive = pg_ready(&recovering, line, &["--alive"], &[]);
    assert_eq!(alive.status.code(), Some(0));
    assert_eq!(json(&alive)["exit_code"], 0);
    assert_eq!(json(&alive)["ping_status"], "rejecting connections");
    let stopped = pg_ready(&recovering, "-h 127.0.0.1 -p 1 --alive", &[], &[]);
    assert_eq!(stopped.status.code(), Some(2));
}

#[test]
fn program_named_pg_isready_has_no_extensions() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("pg_isready");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pg-ready"), &program).unwrap();
    let run = |argument| Command::new(&program).arg(argument).output().unwrap();
    let help = text(&run("--help").stdout);
    assert!(help.starts_with("pg_isready checks") && !help.contains("--check"));
    let rejected = run("--check=login");
    assert_eq!(rejected.status.code(), Some(3));
    assert!(text(&rejected.stderr).starts_with("pg_isready: error: invalid option"));
}

#[test]
fn exit_codes_are_documented_in_help_and_readme() {
    let help = Command::new(env!("CARGO_BIN_EXE_pg-ready"))
        .arg("--help")
        .output()
        .unwrap();
    let help = text(&help.stdout);
    let readme =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    use pg_ready::{PingStatus, State};
    for status in [
        PingStatus::Ok,
        PingStatus::Reject,
        PingStatus::NoResponse,
        PingStatus::NoAttempt,
    ] {
        let (code, text) = (status.exit_code(), status.to_string());
        let row = format!("| {code} | `{text}` |");
        assert!(readme.contains(&row), "README: {row}");
        let stem = text.split(' ').next().unwrap().trim_end_matches("ing");
        let line = help
            .lines()
            .find(|line| line.starts_with(&format!("  {code}  ")));
        assert!(
            line.is_some_and(|line| line.contains(stem)),
            "--help: {code} {text}"
        );
    }
    for state in State::ALL {
        let row = format!("| `{state}` | {} |", state.ping_status().exit_code());
        assert!(readme.contains(&row), "README: {row}");
    }
}
