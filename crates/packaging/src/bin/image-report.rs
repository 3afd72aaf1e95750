//! Prints how large the images are and how soon a container of each answers, beside the images of the chapter.
//! `make image-report` makes the archives first and says where they are.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it prints a table, without one of its parts there is none, and what it measures has no event to wait for"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use selfheal_packaging::archive::Image;
use selfheal_packaging::podman::Podman;
use selfheal_packaging::repository;

/// So many starts, of which the median is told.
const STARTS: usize = 5;
/// Between two calls of a container that does not answer yet.
const PAUSE: Duration = Duration::from_millis(1);

/// More than any of them needs, by far.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the sidecar is to do: it answers before it has found anything.
const PROBES: &str = "targets:\n- name: a\n  readinessProbe: {tcpSocket: {port: 1}}\n";

/// An image of ours, what stands in its place in the chapter, and how large that is.
///
/// Nothing can be pulled where this is written, so the sizes are other people's. Those of the chapter's own images and of
/// `postgres:11.6-alpine` are what `docker images` told a reader of the book in February 2024 (image ids e1e7fbeb1eba,
/// 130d01894885 and 94d455984111). That of `postgres:15-alpine` is in docker-library/repo-info, commit 277a4b0,
/// repos/postgres/local/15-alpine.md. How soon they answer is not known.
const IMAGES: [(&str, &str, &str); 6] = [
    ("numbers-api", "kiamol/ch03-numbers-api", "111 MB"),
    ("todo-web", "kiamol/ch04-todo-list", "137 MB"),
    ("todo-db", "postgres:11.6-alpine", "150 MB"),
    ("", "postgres:15-alpine", "292 MB"),
    ("probe-sidecar", "-", ""),
    ("pg-ready", "-", ""),
];

fn main() {
    let folder = std::env::var_os("IMAGE_ARCHIVES").unwrap_or_else(|| "dist/archives".into());
    let folder = repository().join(folder);
    let podman = Podman::find();
    println!(
        "{:<14} {:>10}  {:>14}  {:<24} {:>7}",
        "image", "size", "answers after", "in the chapter", "size"
    );
    for (name, theirs, size) in IMAGES {
        let (mut own, mut soon) = (String::new(), String::new());
        if !name.is_empty() {
            let bytes = Image::read(&folder.join(format!("{name}.tar"))).size();
            let tenths = (bytes + 50_000) / 100_000;
            own = format!("{}.{} MB", tenths / 10, tenths % 10);
            let taken = podman.as_ref().map(|podman| answers_after(podman, name));
            soon = taken.map_or("-".to_owned(), |taken| format!("{} ms", taken.as_millis()));
        }
        println!("{name:<14} {own:>10}  {soon:>14}  {theirs:<24} {size:>7}");
    }
    println!(
        "Sizes are uncompressed. A start is podman's and runc's too: pg-ready's row is one check of nobody, start to end."
    );
}

/// The median of some starts, from the command to the first answer.
fn answers_after(podman: &Podman, name: &str) -> Duration {
    let image = podman.load(name);
    let mut taken: Vec<Duration> = (0..STARTS).map(|_| start(podman, name, &image)).collect();
    taken.sort_unstable();
    taken[STARTS / 2]
}

fn start(podman: &Podman, name: &str, image: &str) -> Duration {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.port().to_string();
    let listen = format!("LISTEN={address}");
    let folder = tempfile::tempdir().unwrap();
    let probes = folder.path().join("probes.yaml");
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
    let begin = Instant::now();
    if name == "pg-ready" {
        // It ends with 2, as nobody listens: that is its answer.
        podman
            .command()
            .args(["start", "--attach", &id])
            .output()
            .unwrap();
    } else {
        podman.run(&["start", &id]);
        while !answers(&address.to_string(), name) {
            assert!(begin.elapsed() < PATIENCE, "{name} does not answer");
            sleep(PAUSE);
        }
    }
    let taken = begin.elapsed();
    podman.run(&["rm", "--force", "--time", "0", &id]);
    taken
}

/// Whether somebody answers there as it should be: with a page, or with a word about encryption.
fn answers(address: &str, name: &str) -> bool {
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
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        stream.write_all(&request)?;
        stream.read_exact(&mut first)
    });
    asked.is_ok()
}
