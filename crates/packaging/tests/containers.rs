//! Every image as a container: it starts, answers, is not root, writes nothing to its root, and ends with 0 when it is asked to.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use selfheal_packaging::podman::{Container, Podman};

/// The status and body of a page.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[track_caller]
fn answers_and_ends(container: Container<'_>, path: &str) {
    let answer = get(&container.address(), path);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let nobody = ("65532".to_owned(), "0000000000000000".to_owned());
    assert_eq!(container.rights(), nobody);
    assert_eq!(container.stop(), "0");
}

#[test]
fn numbers_api_serves_as_nobody_and_ends_in_order() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let options = ["--env", "LISTEN=127.0.0.1:0"];
    answers_and_ends(podman.start("numbers-api", &options, &[]), "/rng");
}

#[test]
fn todo_web_serves_as_nobody_and_ends_in_order() {
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
    answers_and_ends(podman.start("todo-web", &options, &[]), "/list");
}

#[test]
fn probe_sidecar_serves_as_nobody_and_ends_in_order() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probes.yaml");
    std::fs::write(
        &file,
        "targets:\n- name: a\n  readinessProbe: {tcpSocket: {port: 1}}\n",
    )
    .unwrap();
    let volume = format!("{}:/etc/probe-sidecar/probes.yaml:ro", file.display());
    let options = ["--env", "LISTEN=127.0.0.1:0", "--volume", &volume];
    answers_and_ends(podman.start("probe-sidecar", &options, &[]), "/livez");
}

#[test]
fn pg_ready_tells_that_nobody_answers() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let port = free.port().to_string();
    let told = podman.once("pg-ready", &["-h", "127.0.0.1", "-p", &port]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
}

/// As a careful cluster runs it: the user of Alpine's image, nothing to write to but its volumes.
#[test]
fn todo_db_serves_as_postgres_and_ends_in_order() {
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
    for folder in [
        "/tmp",
        "/run/postgresql:mode=1777",
        "/var/lib/postgresql/data:mode=1777",
    ] {
        options.extend(["--tmpfs", folder]);
    }
    let container = podman.start("todo-db", &options, &["-p", &port]);
    let _ = container.said(&format!("port {port}"));
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
    assert_eq!(container.rights().0, "70");
    assert_eq!(container.stop(), "0");
}
