//! Prints the size of each image and the start-up time of its container, beside the images of the chapter.
//! `make image-report` builds the archives first and sets `IMAGE_ARCHIVES`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "prints a table, fails without any part of it, and polls because a starting container sends no event"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use selfheal_packaging::archive::Image;
use selfheal_packaging::podman::Podman;
use selfheal_packaging::repository;

/// Number of starts; the table shows the median.
const STARTS: usize = 5;
/// Interval between two attempts to reach a starting container.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Maximum start-up time.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Configuration of the sidecar, which responds before its first result.
const PROBES: &str = "targets:\n- name: a\n  readinessProbe: {tcpSocket: {port: 1}}\n";

/// Image of this project, the chapter's image in its place, and the size of that image.
///
/// The sizes of the chapter's images are published ones. Those of its own images and of `postgres:11.6-alpine` are from the output of
/// `docker images` of a reader of the book in February 2024 (image ids e1e7fbeb1eba, 130d01894885 and 94d455984111), that of
/// `postgres:15-alpine` from docker-library/repo-info, commit 277a4b0, repos/postgres/local/15-alpine.md. Their start-up times are unknown.
const IMAGES: [(&str, &str, &str); 6] = [
    ("numbers-api", "kiamol/ch03-numbers-api", "111 MB"),
    ("todo-web", "kiamol/ch04-todo-list", "137 MB"),
    ("todo-db", "postgres:11.6-alpine", "150 MB"),
    ("", "postgres:15-alpine", "292 MB"),
    ("probe-sidecar", "-", ""),
    ("pg-ready", "-", ""),
];

fn main() {
    let dir = std::env::var_os("IMAGE_ARCHIVES").unwrap_or_else(|| "dist/archives".into());
    let dir = repository().join(dir);
    let podman = Podman::find();
    println!(
        "{:<14} {:>10}  {:>14}  {:<24} {:>7}",
        "image", "size", "first response", "in the chapter", "size"
    );
    for (name, original, size) in IMAGES {
        let (mut own_size, mut start_up) = (String::new(), String::new());
        if !name.is_empty() {
            let bytes = Image::read(&dir.join(format!("{name}.tar"))).size();
            let tenths = (bytes + 50_000) / 100_000;
            own_size = format!("{}.{} MB", tenths / 10, tenths % 10);
            let median = podman.as_ref().map(|podman| median_start_up(podman, name));
            start_up = median.map_or("-".to_owned(), |median| {
                format!("{} ms", median.as_millis())
            });
        }
        println!("{name:<14} {own_size:>10}  {start_up:>14}  {original:<24} {size:>7}");
    }
    println!(
        "Sizes are uncompressed. Start-up includes podman and runc; for pg-ready it is one complete check of a closed port."
    );
}

/// Returns the median time from the command to the first response.
fn median_start_up(podman: &Podman, name: &str) -> Duration {
    let image = podman.load(name);
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| measure_start_up(podman, name, &image))
        .collect();
    times.sort_unstable();
    times[STARTS / 2]
}

fn measure_start_up(podman: &Podman, name: &str, image: &str) -> Duration {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.port().to_string();
    let listen = format!("LISTEN={address}");
    let dir = tempfile::tempdir().unwrap();
    let probes = dir.path().join("probes.yaml");
    std::fs::write(&probes, PROBES).unwrap();
    let probes = probes.display();
    let volume = format!("{probes}:/etc/probe-sidecar/probes.yaml:ro");
    let (options, arguments): (Vec<&str>, Vec<&str>) = match name {
        "todo-web" => (
            vec![
                "--env",
                &listen,
                "--tmpfs",
                "/tmp",
                "--env",
                "SQLITE_FILE=/tmp/list.db",
            ],
            vec![],
        ),
        "probe-sidecar" => (vec!["--env", &listen, "--volume", &volume], vec![]),
        "todo-db" => (
            vec!["--env", "POSTGRES_PASSWORD=of a measurement"],
            vec!["-p", &port],
        ),
        "pg-ready" => (vec![], vec!["-h", "127.0.0.1", "-p", &port]),
        _ => (vec!["--env", &listen], vec![]),
    };
    let created = [
        &["create", "--network", "host"][..],
        &options,
        &[image],
        &arguments,
    ]
    .concat();
    let id = podman.run(&created);
    let started_at = Instant::now();
    if name == "pg-ready" {
        // The check ends with exit code 2, because the port is closed.
        podman
            .command()
            .args(["start", "--attach", &id])
            .output()
            .unwrap();
    } else {
        podman.run(&["start", &id]);
        while !responds(&address.to_string(), name) {
            assert!(
                started_at.elapsed() < START_TIMEOUT,
                "{name} does not respond"
            );
            sleep(POLL_INTERVAL);
        }
    }
    let start_up = started_at.elapsed();
    podman.run(&["rm", "--force", "--time", "0", &id]);
    start_up
}

/// Returns `true` if the service responds: an HTTP server to a request, PostgreSQL to an SSLRequest.
fn responds(address: &str, name: &str) -> bool {
    let path = if name == "probe-sidecar" {
        "/livez"
    } else {
        "/"
    };
    let request = match name {
        "todo-db" => vec![0, 0, 0, 8, 4, 210, 22, 47],
        _ => format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes(),
    };
    let mut first = [0];
    let received = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(&request)?;
        stream.read_exact(&mut first)
    });
    received.is_ok()
}
