//! Every image as a container: it starts, responds, runs as an unprivileged user with a read-only root, and exits with 0 on SIGTERM.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use selfheal_packaging::podman::{Container, Podman};

/// Returns the response with its head.
fn fetch(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[track_caller]
fn check_response_user_and_exit_code(container: Container<'_>, path: &str) {
    let response = fetch(&container.address(), path);
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    let unprivileged = ("65532".to_owned(), "0000000000000000".to_owned());
    assert_eq!(container.uid_and_capabilities(), unprivileged);
    assert_eq!(container.stop(), "0");
}

#[test]
fn numbers_api_container_serves_unprivileged_and_exits_with_0_on_sigterm() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let options = ["--env", "LISTEN=127.0.0.1:0"];
    check_response_user_and_exit_code(podman.start("numbers-api", &options, &[]), "/rng");
}

#[test]
fn todo_web_container_serves_unprivileged_and_exits_with_0_on_sigterm() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let options = [
        "--env",
        "LISTEN=127.0.0.1:0",
        "--tmpfs",
        "/tmp",
        "--env",
        "SQLITE_FILE=/tmp/list.db",
    ];
    check_response_user_and_exit_code(podman.start("todo-web", &options, &[]), "/list");
}

#[test]
fn probe_sidecar_container_serves_unprivileged_and_exits_with_0_on_sigterm() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("probes.yaml");
    std::fs::write(
        &file,
        "targets:\n- name: a\n  readinessProbe: {tcpSocket: {port: 1}}\n",
    )
    .unwrap();
    let volume = format!("{}:/etc/probe-sidecar/probes.yaml:ro", file.display());
    let options = ["--env", "LISTEN=127.0.0.1:0", "--volume", &volume];
    check_response_user_and_exit_code(podman.start("probe-sidecar", &options, &[]), "/livez");
}

#[test]
fn pg_ready_container_exits_with_2_for_a_closed_port() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let port = free.port().to_string();
    let output = podman.run_to_completion("pg-ready", &["-h", "127.0.0.1", "-p", &port]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// Settings of the hardened overlay: the user of Alpine's image, no writable directory except volumes.
#[test]
fn todo_db_container_serves_as_postgres_and_exits_with_0_on_sigterm() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let port = free.port().to_string();
    let mut options = vec![
        "--user",
        "70:70",
        "--env",
        "POSTGRES_PASSWORD=known to the test",
    ];
    options.extend(["--env", "PGDATA=/var/lib/postgresql/data/pgdata"]);
    for dir in [
        "/tmp",
        "/run/postgresql:mode=1777",
        "/var/lib/postgresql/data:mode=1777",
    ] {
        options.extend(["--tmpfs", dir]);
    }
    let container = podman.start("todo-db", &options, &["-p", &port]);
    let _ = container.wait_for_log(&format!("port {port}"));
    container.exec(&[
        "pg-ready",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-t",
        "30",
        "--wait",
        "30s",
    ]);
    let rows = container.exec(&[
        "psql",
        "-U",
        "postgres",
        "-p",
        &port,
        "-Atc",
        "select 6 * 7",
    ]);
    assert_eq!(rows, "42");
    assert_eq!(container.uid_and_capabilities().0, "70");
    assert_eq!(container.stop(), "0");
}
