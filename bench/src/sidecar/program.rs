//! A program under measurement.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A process that listens on a port; dropping it kills the process.
pub(super) struct Program {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Program {
    /// Starts a program on a free port, and waits until it listens.
    pub(super) fn start(program: &Path, arguments: &[&str], listen: &str) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let process = Command::new(program)
            .args(arguments)
            .arg(format!("{listen}{address}"))
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let started = Self { process, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            anyhow::ensure!(
                Instant::now() < deadline,
                "{} does not listen after 30 s",
                program.display()
            );
            super::pause(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// Returns the CPU time in seconds.
    pub(super) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat
            .rsplit_once(") ")
            .context("/proc/PID/stat has no command")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // User and system time in clock ticks, which are 10 ms on Linux.
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<f64>().ok())
        };
        let ticks = ticks(11)
            .zip(ticks(12))
            .context("/proc/PID/stat has no times")?;
        Ok((ticks.0 + ticks.1) / 100.0)
    }

    /// Returns a memory field of `/proc/PID/status` in MiB.
    pub(super) fn memory_mib(&self, field: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field));
        let value =
            value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        Ok(value.context("/proc/PID/status lacks the field")? / 1024.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Finds a program in `PATH`.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
