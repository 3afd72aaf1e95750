//! Containers of the archives, run by podman with state of its own; nothing of it is left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use test_support::{Requirement, image_archives, require};

use crate::VERSION;

/// What podman needs to know to run where limits cannot be raised and cgroups are mixed.
const CONTAINERS: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

/// A podman with a store of its own.
pub struct Podman {
    folder: TempDir,
    archives: PathBuf,
}

impl Podman {
    /// Returns `None`, and records the test as skipped, without archives, podman with runc, or root.
    #[must_use]
    pub fn find() -> Option<Self> {
        if !require(Requirement::ImageArchives) || !require(Requirement::Podman) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONTAINERS).unwrap();
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{0}/root\"\nrunroot = \"{0}/run\"\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("storage.conf"), storage).unwrap();
        Some(Self {
            folder,
            archives: image_archives()?,
        })
    }

    /// podman, to be given arguments.
    #[must_use]
    pub fn command(&self) -> Command {
        self.program(Path::new("podman"))
    }

    /// A program that runs podman.
    #[must_use]
    pub fn program(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env(
                "CONTAINERS_CONF",
                self.folder.path().join("containers.conf"),
            )
            .env(
                "CONTAINERS_STORAGE_CONF",
                self.folder.path().join("storage.conf"),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs podman, which has to succeed, and returns what it printed.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).output().unwrap();
        assert!(output.status.success(), "podman {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Loads an image, and returns its name.
    pub fn load(&self, image: &str) -> String {
        let archive = self.archives.join(format!("{image}.tar"));
        self.run(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
        format!("localhost/selfheal/{image}:{VERSION}")
    }

    /// Starts a container with a root that cannot be written to and no capability, on the machine's network.
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

    /// A container that runs to its end.
    pub fn once(&self, image: &str, arguments: &[&str]) -> Output {
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
            .arg(self.folder.path().join("root/overlay"))
            .output();
    }
}

/// A container that runs.
pub struct Container<'a> {
    podman: &'a Podman,
    id: String,
}

impl Container<'_> {
    /// The address in its log's line about where it listens; waits for that line.
    #[must_use]
    pub fn address(&self) -> String {
        let line = self.said("listening address=");
        let rest = line.split("listening address=").nth(1).unwrap();
        rest.split_whitespace().next().unwrap().to_owned()
    }

    /// The first line of its log with these words; waits for it, and fails if the container ends first.
    #[must_use]
    pub fn said(&self, words: &str) -> String {
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
        let mut both = Command::new("sh");
        both.args(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        for (name, value) in logs.get_envs() {
            both.env(name, value.unwrap());
        }
        let mut follow = both.spawn().unwrap();
        let lines = std::io::BufRead::lines(std::io::BufReader::new(follow.stdout.take().unwrap()));
        let mut seen = Vec::new();
        let mut found = None;
        for line in lines.map_while(Result::ok) {
            if line.contains(words) {
                found = Some(line);
                break;
            }
            seen.push(line);
        }
        let _ = follow.kill();
        let _ = follow.wait();
        found.unwrap_or_else(|| panic!("it ended without {words:?}: {seen:?}"))
    }

    /// What a command in it printed, which has to succeed.
    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> String {
        self.podman.run(&[&["exec", &self.id], command].concat())
    }

    /// Who it runs as: the user's number and what it may do, as the kernel tells.
    #[must_use]
    pub fn rights(&self) -> (String, String) {
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

    /// Asks it to end as a kubelet would, and returns its exit code; killed for being late is 137.
    #[must_use]
    pub fn stop(self) -> String {
        self.podman.run(&["stop", "--time", "10", &self.id]);
        self.podman
            .run(&["inspect", "--format", "{{.State.ExitCode}}", &self.id])
    }
}
