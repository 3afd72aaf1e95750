//! There and back: what is pushed to a registry is what is pulled from it, and runs.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use packaging::podman::Podman;
use packaging::{VERSION, repository};
use tempfile::TempDir;
use test_support::{Requirement, require};

/// Debian's docker-registry on loopback.
struct Registry {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Registry {
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{free}\"}}\n",
            folder.path().join("data").display()
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
        let listens = |line: &Result<String, _>| {
            line.as_ref()
                .is_ok_and(|line| line.contains("listening on"))
        };
        assert!(log.any(|line| listens(&line)), "the registry did not start");
        // Somebody has to read on, or it would block on its log.
        std::thread::spawn(move || log.for_each(drop));
        Some(Self {
            process,
            address: free.to_string(),
            _folder: folder,
        })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn an_image_that_is_pushed_is_pulled_by_the_digest_that_was_told_and_runs() {
    let Some(podman) = Podman::find() else {
        return;
    };
    let Some(registry) = Registry::start() else {
        return;
    };
    podman.load("pg-ready");
    let mut push = podman.program(&repository().join("docker/push"));
    push.args(["podman", &registry.address, "pg-ready"])
        .env("VERSION", VERSION);
    let output = push.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    let (name, digest) = told
        .trim()
        .strip_prefix("pushed ")
        .unwrap()
        .split_once('@')
        .unwrap();
    assert_eq!(
        name,
        format!("{}/selfheal/pg-ready:{VERSION}", registry.address)
    );

    podman.run(&["rmi", "--all", "--force"]);
    let by_digest = format!("{}/selfheal/pg-ready@{digest}", registry.address);
    podman.run(&["pull", "--quiet", "--tls-verify=false", &by_digest]);
    let said = podman.run(&["run", "--rm", "--network", "none", &by_digest, "--version"]);
    assert!(said.contains(VERSION), "{said}");
}
