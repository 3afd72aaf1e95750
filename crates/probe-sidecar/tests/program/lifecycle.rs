//! Start, reload and shutdown of the program.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::harness::{Running, TestDir, program, tcp};

#[test]
fn program_probes_responds_and_exits_with_0_on_sigterm() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TestDir::new();
    let config = dir.config(&tcp(listener.local_addr().unwrap().port()));
    let mut running = Running::start(&config, &[]);
    running.wait_for_log("\"healthy\"");
    assert!(running.get("/livez").starts_with("HTTP/1.1 200 "));
    drop(listener);
    running.wait_for_log("\"unhealthy\"");
    assert!(running.get("/livez").starts_with("HTTP/1.1 503 "));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn second_instance_on_the_same_port_fails_with_a_hint() {
    let dir = TestDir::new();
    let config = dir.config(&tcp(1));
    let running = Running::start(&config, &[]);
    let second = program(&config)
        .args(["--listen", &running.address])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(
        stderr.contains("another probe-sidecar may use the port"),
        "{stderr}"
    );
}

#[test]
fn invalid_configuration_is_rejected_with_file_line_and_field() {
    let dir = TestDir::new();
    let config = dir.config("targets:\n- name: a\n  livenessProbe: {}\n");
    for flags in [&["--check-config"][..], &[]] {
        let output = program(&config).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let expected = format!(
            "{}:3: targets[0].livenessProbe: Required value: must specify a handler type",
            config.display()
        );
        assert!(stderr.contains(&expected), "{stderr}");
    }
    let output = program(&config)
        .args(["--check-config", "--output=json"])
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["problems"][0]["line"], 3);
}

#[test]
fn reload_is_atomic_and_follows_a_replaced_symlink() {
    let dir = TestDir::new();
    for (name, text) in [("1", tcp(1)), ("2", tcp(2))] {
        fs::create_dir(dir.path(name)).unwrap();
        fs::write(dir.path(name).join("probes.yaml"), text).unwrap();
    }
    let link = |to: &str| {
        std::os::unix::fs::symlink(to, dir.path("..tmp")).unwrap();
        fs::rename(dir.path("..tmp"), dir.path("..data")).unwrap();
    };
    link("1");
    std::os::unix::fs::symlink("..data/probes.yaml", dir.path("probes.yaml")).unwrap();
    let mut running = Running::start(&dir.path("probes.yaml"), &[]);
    running.wait_for_log("unhealthy");
    link("2");
    running.wait_for_log("configuration reloaded");
    assert!(running.get("/probes").contains("connect to 127.0.0.1:2"));
    fs::write(dir.path("2").join("probes.yaml"), "targets: [").unwrap();
    running.signal(Signal::SIGHUP);
    let successful = |running: &Running| {
        let metrics = running.get("/metrics");
        let name = "probe_sidecar_config_last_reload_successful ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.map(str::to_owned).unwrap()
    };
    let line = running.wait_for_log("not reloaded");
    assert_eq!(successful(&running), "0");
    assert!(line.contains("probes.yaml:1"), "{line}");
    assert!(running.get("/probes").contains("connect to 127.0.0.1:2"));
    fs::write(dir.path("2").join("probes.yaml"), tcp(2)).unwrap();
    running.signal(Signal::SIGHUP);
    running.wait_for_log("configuration reloaded");
    assert_eq!(successful(&running), "1");
}

#[test]
fn shutdown_kills_a_hanging_command_and_its_children() {
    let dir = TestDir::new();
    let fifo = dir.path("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let config = dir.config(&format!(
        "targets: [{{name: a, livenessProbe: {{timeoutSeconds: 600, exec: {{command: [sh, -c, 'exec >{}; sleep 1000 & echo here; wait']}}}}}}]",
        fifo.display()
    ));
    let mut running = Running::start(&config, &[]);
    let mut reader = BufReader::new(fs::File::open(&fifo).unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    running.signal(Signal::SIGTERM);
    // The shell and its child have the FIFO open: it closes when both have exited.
    assert_eq!(reader.read_to_string(&mut line).unwrap(), 0);
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn command_has_the_environment_of_its_target() {
    let dir = TestDir::new();
    let config = dir.config(
        "targets: [{name: a, env: [{name: HOST, value: h}, {name: PORT, value: $(HOST)-9001}], livenessProbe: {exec: {command: [sh, -c, 'test $PORT = h-9001']}}}]",
    );
    let mut running = Running::start(&config, &[]);
    let line = running.wait_for_log("healthy\"");
    assert!(line.contains("\"message\":\"healthy\""), "{line}");
}

#[test]
fn missing_file_is_the_same_error_at_check_and_start() {
    let dir = TestDir::new();
    let config = dir.config(
        "targets:\n- name: a\n  livenessProbe: {grpc: {port: 1}, extensions: {tls: {caFile: /nope}}}\n",
    );
    for flags in [&["--check-config"][..], &[]] {
        let output = program(&config).args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8_lossy(&output.stderr);
        let expected = "probes.yaml:3: targets[0].livenessProbe.extensions.tls: cannot read certificates in /nope";
        assert!(stderr.contains(expected), "{stderr}");
    }
}

#[test]
fn check_runs_named_probes_once_and_exits_with_their_result() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = TestDir::new();
    let probe =
        |name, port| format!("{{name: {name}, livenessProbe: {{tcpSocket: {{port: {port}}}}}}}");
    let port = listener.local_addr().unwrap().port();
    let config = dir.config(&format!(
        "targets: [{}, {}]",
        probe("up", port),
        probe("down", 1)
    ));
    for (names, code, expected) in [
        (&["livez/up"][..], 0, "[+]livez/up ok"),
        (&["livez"], 1, "[-]livez/down failed: refused"),
        (&["livez/x"], 2, "probe \"livez/x\" not found"),
        (&["--output=json"], 1, "\"healthy\":false"),
    ] {
        let output = program(&config).arg("check").args(names).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
    }
}
