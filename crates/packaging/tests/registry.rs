//! Pushing images to a registry and pulling them from it.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use selfheal_packaging::podman::Podman;
use selfheal_packaging::{VERSION, repository};
use tempfile::TempDir;
use test_support::{Requirement, require};

/// A docker-registry on loopback.
struct Registry {
    process: Child,
    address: String,
    _dir: TempDir,
}

impl Registry {
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{free}\"}}\n",
            dir.path().join("data").display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !require(Requirement::DockerRegistry) {
            return None;
        }
        let mut process = command.spawn().unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let is_listening = |line: &Result<String, _>| {
            line.as_ref()
                .is_ok_and(|line| line.contains("listening on"))
        };
        assert!(
            log.any(|line| is_listening(&line)),
            "the registry did not start"
        );
        // Without a reader the registry would block on its log.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self {
            process,
            address: free.to_string(),
            _dir: dir,
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs docker/push with podman, and returns what it reports: the verb, and the image with its digest.
fn push(podman: &Podman, registry: &Registry, dist: &Path) -> (String, String) {
    let mut push = podman.command_of(&repository().join("docker/push"));
    push.args(["podman", &registry.address, "pg-ready"])
        .envs([("VERSION", VERSION), ("ARCH", "any")])
        .env("DIST", dist);
    let output = push.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let line = String::from_utf8(output.stdout).unwrap();
    let (verb, image) = line.trim().split_once(' ').unwrap();
    (verb.to_owned(), image.to_owned())
}

/// Creates an output directory of `make rootfs` with one image of this content.
fn rootfs(content: &str) -> TempDir {
    let dist = tempfile::tempdir().unwrap();
    let image = dist.path().join("any/pg-ready");
    std::fs::create_dir_all(&image).unwrap();
    std::fs::write(image.join("pg-ready"), content).unwrap();
    dist
}

#[test]
fn pushed_image_is_pulled_by_the_printed_digest_and_runs() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let Some(registry) = Registry::start() else {
        return;
    };
    podman.load("pg-ready");
    let dist = rootfs("one");
    let (_, image) = push(&podman, &registry, dist.path());
    let (name, digest) = image.split_once('@').unwrap();
    let repository = format!("{}/selfheal/pg-ready", registry.address);
    assert_eq!(name, format!("{repository}:{VERSION}"));

    podman.run(&["rmi", "--all", "--force"]);
    let by_digest = format!("{repository}@{digest}");
    podman.run(&["pull", "--quiet", "--tls-verify=false", &by_digest]);
    let printed = podman.run(&["run", "--rm", "--network", "none", &by_digest, "--version"]);
    assert!(printed.contains(VERSION), "{printed}");
}

/// The new labels of a commit must not restart pods.
#[test]
fn image_with_known_content_is_not_pushed_again() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let Some(registry) = Registry::start() else {
        return;
    };
    podman.load("pg-ready");
    let (one, other) = (rootfs("one"), rootfs("other"));
    let (verb, first) = push(&podman, &registry, one.path());
    assert_eq!(verb, "pushed");
    assert_eq!(
        push(&podman, &registry, one.path()),
        ("unchanged".to_owned(), first)
    );
    assert_eq!(push(&podman, &registry, other.path()).0, "pushed");
    let recorded = one.path().join("pushed");
    let directory = std::fs::read_dir(recorded).unwrap().next().unwrap();
    let record = std::fs::read_to_string(directory.unwrap().path().join("pg-ready"));
    let repository = format!("{}/selfheal/pg-ready@sha256:", registry.address);
    assert!(record.unwrap().starts_with(&repository));
}
