//! Containers of the archived images, run by podman in a private store that is deleted afterwards.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use test_support::{Requirement, image_archives, require};

use crate::VERSION;

/// Settings for hosts on which podman cannot raise limits and which have cgroups of both versions.
const CONTAINERS_CONF: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// podman with a private store.
pub struct Podman {
    dir: TempDir,
    archives: PathBuf,
}

impl Podman {
    /// Returns `None`, and records the test as skipped, without archives, podman with runc, or root.
    #[must_use]
    pub fn find() -> Option<Self> {
        if !require(Requirement::ImageArchives) || !require(Requirement::Podman) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("containers.conf"), CONTAINERS_CONF).unwrap();
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("storage.conf"), storage).unwrap();
        Some(Self {
            dir,
            archives: image_archives()?,
        })
    }

    /// Returns a command that runs podman; arguments have to be added.
    #[must_use]
    pub fn command(&self) -> Command {
        self.command_of(Path::new("podman"))
    }

    /// Returns a command for a program that runs podman.
    #[must_use]
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("CONTAINERS_CONF", self.dir.path().join("containers.conf"))
            .env(
                "CONTAINERS_STORAGE_CONF",
                self.dir.path().join("storage.conf"),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs podman and returns its trimmed standard output. Panics if podman fails.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "podman {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Loads an image from its archive, and returns its name.
    pub fn load(&self, image: &str) -> String {
        let archive = self.archives.join(format!("{image}.tar"));
        self.run(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        format!("localhost/selfheal/{image}:{VERSION}")
    }

    /// Starts a container on the host's network, with a read-only root file system and without capabilities.
    pub fn start(&self, image: &str, options: &[&str], arguments: &[&str]) -> Container<'_> {
        let image = self.load(image);
        let mut all = vec![
            "run",
            "--detach",
            "--network",
            "host",
            "--read-only",
            "--read-only-tmpfs=false",
        ];
        all.extend(["--cap-drop", "all", "--security-opt", "no-new-privileges"]);
        all.extend(options);
        all.push(&image);
        all.extend(arguments);
        let id = self.run(&all);
        Container { podman: self, id }
    }

    /// Runs a container until it exits.
    pub fn run_to_completion(&self, image: &str, arguments: &[&str]) -> Output {
        let image = self.load(image);
        let mut command = self.command();
        command.args([
            "run",
            "--rm",
            "--network",
            "host",
            "--read-only",
            "--cap-drop",
            "all",
            &image,
        ]);
        command.args(arguments).output().unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self
            .command()
            .args(["rm", "--all", "--force", "--time", "0"])
            .output();
        let _ = self.command().args(["rmi", "--all", "--force"]).output();
        let _ = Command::new("umount")
            .arg(self.dir.path().join("root/overlay"))
            .output();
    }
}

/// A running container.
pub struct Container<'a> {
    podman: &'a Podman,
    id: String,
}

impl Container<'_> {
    /// Waits for the log line with the listen address, and returns the address.
    #[must_use]
    pub fn address(&self) -> String {
        let line = self.wait_for_log("listening address=");
        let rest = line.split("listening address=").nth(1).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// Waits for a log line that contains `text`, and returns it. Panics if the container exits first.
    #[must_use]
    pub fn wait_for_log(&self, text: &str) -> String {
        let mut logs = self.podman.command();
        logs.args(["logs", "--follow", &self.id])
            .stdout(Stdio::piped());
        let script = [
            "-c",
            "exec \"$0\" \"$@\" 2>&1",
            "podman",
            "logs",
            "--follow",
            &self.id,
        ];
        let mut with_stderr = Command::new("sh");
        with_stderr
            .args(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        for (name, value) in logs.get_envs() {
            with_stderr.env(name, value.unwrap());
        }
        let mut follow = with_stderr.spawn().unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(follow.stdout.take().unwrap()));
        let mut seen = Vec::new();
        let mut found = None;
        for line in lines.map_while(Result::ok) {
            if line.contains(text) {
                found = Some(line);
                break;
            }
            seen.push(line);
        }
        let _ = follow.kill();
        let _ = follow.wait();
        found.unwrap_or_else(|| panic!("the container exited without logging {text:?}: {seen:?}"))
    }

    /// Runs a command in the container and returns its trimmed standard output. Panics if the command fails.
    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> String {
        self.podman.run(&[&["exec", &self.id], command].concat())
    }

    /// Returns the user id and the effective capabilities of the container's first process, from `/proc`.
    #[must_use]
    pub fn uid_and_capabilities(&self) -> (String, String) {
        let pid = self
            .podman
            .run(&["inspect", "--format", "{{.State.Pid}}", &self.id]);
        let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().to_owned()
        };
        (field("Uid:"), field("CapEff:"))
    }

    /// Sends SIGTERM, and SIGKILL after ten seconds, as a kubelet does. Returns the exit code: 137 if it was killed.
    #[must_use]
    pub fn stop(self) -> String {
        self.podman.run(&["stop", "--time", "10", &self.id]);
        self.podman
            .run(&["inspect", "--format", "{{.State.ExitCode}}", &self.id])
    }
}
