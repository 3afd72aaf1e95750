//! A program that is measured from outside.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A program that ends with this.
pub(super) struct Program {
    process: Child,
    pub(super) address: SocketAddr,
}

impl Program {
    /// Starts it on a free port, and waits until it listens.
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
                "{} does not listen",
                program.display()
            );
            super::pause(Duration::from_millis(20));
        }
        Ok(started)
    }

    /// Seconds on a processor.
    pub(super) fn cpu(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = stat
            .rsplit_once(") ")
            .context("a line that is not proc's")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // User and system time, in the hundredths of a second that every Linux shows.
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let ticks = ticks(11).zip(ticks(12)).context("no times")?;
        Ok((ticks.0 + ticks.1) / 100.0)
    }

    /// Mebibytes, by a field of `/proc/PID/status`.
    pub(super) fn memory(&self, field: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field));
        let value =
            value.and_then(|value| value.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
        Ok(value.context("no such field")? / 1024.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program in the path.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
