//! Applies configuration changes at run time: completely, or not at all.
//!
//! The files are polled once a second and not watched: a mounted ConfigMap changes by replacing a symlink, network file
//! systems send no notifications, and inotify instances are a scarce resource of a node. A `stat` per second is cheap.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::action::Actions;
use crate::engine::{Engine, ReloadSummary};
use crate::metrics::Reloads;
use crate::source::Source;
use crate::spec::Config;

/// Interval between checks of the files.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Identity and version of a file: device, inode, modification time (seconds, nanoseconds), size. `None` if it is missing.
type FileStamp = Option<(u64, u64, i64, i64, u64)>;

/// Reloads the configuration when its files change.
pub struct Reloader {
    engine: Engine,
    actions: Actions,
    source: Source,
    files: Vec<PathBuf>,
    stamps: Vec<FileStamp>,
    metrics: Reloads,
}

impl Reloader {
    /// Creates a reloader of a configuration that is already applied.
    #[must_use]
    pub fn new(
        engine: Engine,
        actions: Actions,
        source: Source,
        config: &Config,
        metrics: Reloads,
    ) -> Self {
        let files = files(&source, config);
        let stamps = stamps(&files);
        Self {
            engine,
            actions,
            source,
            files,
            stamps,
            metrics,
        }
    }

    /// Reloads when a file changes or `requested` is notified, until it is dropped.
    pub async fn run(mut self, requested: Arc<Notify>) {
        let mut ticks = interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let forced = tokio::select! {
                _ = ticks.tick() => false,
                () = requested.notified() => true,
            };
            // Network file systems may block, and probes run on this thread.
            let polled = spawn_blocking(move || {
                self.poll(forced);
                self
            });
            match polled.await {
                Ok(back) => self = back,
                Err(error) => {
                    tracing::error!(%error, "configuration watcher stopped; changes will not be picked up until restart");
                    return;
                }
            }
        }
    }

    fn poll(&mut self, forced: bool) {
        let now = stamps(&self.files);
        if now == self.stamps && !forced {
            return;
        }
        self.stamps = now;
        let result = self.reload();
        self.metrics.record(result.is_ok(), Timestamp::now());
        match result {
            Ok(applied) => tracing::info!(
                kept = applied.kept,
                started = applied.started,
                stopped = applied.stopped,
                "configuration reloaded"
            ),
            Err(error) => {
                tracing::error!(
                    "configuration not reloaded, the previous one remains active: {error}"
                );
            }
        }
    }

    fn reload(&mut self) -> Result<ReloadSummary, ReloadError> {
        let text = self.source.text()?;
        let config = self.source.parse(&text)?;
        let applied = self.engine.apply(&config)?;
        self.actions.apply(&config.actions);
        self.files = files(&self.source, &config);
        self.stamps = stamps(&self.files);
        Ok(applied)
    }
}

/// Reason for keeping the previous configuration.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    #[error(transparent)]
    Build(#[from] crate::attempt::BuildError),
}

/// Returns the configuration file and the files that it names: certificates are renewed in place.
fn files(source: &Source, config: &Config) -> Vec<PathBuf> {
    let mut files = vec![source.file.clone()];
    let probes = config.targets.iter().flat_map(|target| &target.probes);
    for tls in probes.filter_map(|probe| probe.handler.tls()) {
        files.extend(tls.ca.clone());
        files.extend(
            tls.client
                .iter()
                .flat_map(|(certificate, key)| [certificate.clone(), key.clone()]),
        );
    }
    files.sort();
    files.dedup();
    files
}

fn stamps(files: &[PathBuf]) -> Vec<FileStamp> {
    files.iter().map(|file| stamp(file).ok()).collect()
}

fn stamp(file: &Path) -> io::Result<(u64, u64, i64, i64, u64)> {
    let meta = std::fs::metadata(file)?;
    Ok((
        meta.dev(),
        meta.ino(),
        meta.mtime(),
        meta.mtime_nsec(),
        meta.size(),
    ))
}
