//! Takes a changed configuration over while the sidecar runs: all of it, or nothing.
//!
//! The file is looked at once a second and not watched: a mounted ConfigMap changes by a link to a link, network file
//! systems tell nobody, and a node's inotify instances run out. One `stat` a second costs less than the trouble.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::action::Actions;
use crate::engine::{Applied, Engine};
use crate::source::Source;
use crate::spec::{Config, Handler, TlsFiles};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Which file it is, and as of when.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// Looks after a configuration that runs.
pub struct Reloader {
    engine: Engine,
    actions: Actions,
    source: Source,
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
}

impl Reloader {
    /// Over `config`, which runs.
    #[must_use]
    pub fn new(engine: Engine, actions: Actions, source: Source, config: &Config) -> Self {
        let files = files(&source, config);
        let stamps = stamps(&files);
        Self {
            engine,
            actions,
            source,
            files,
            stamps,
        }
    }

    /// Reloads when a file changes, and when `asked` says so. Until it is dropped.
    pub async fn run(mut self, asked: Arc<Notify>) {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let forced = tokio::select! {
                _ = looks.tick() => false,
                () = asked.notified() => true,
            };
            // Files may be on a network, and the probes are on this thread.
            let looked = spawn_blocking(move || {
                self.look(forced);
                self
            });
            match looked.await {
                Ok(back) => self = back,
                Err(error) => {
                    tracing::error!(%error, "the configuration is not looked after any more");
                    return;
                }
            }
        }
    }

    fn look(&mut self, forced: bool) {
        let now = stamps(&self.files);
        if now == self.stamps && !forced {
            return;
        }
        self.stamps = now;
        match self.reload() {
            Ok(applied) => tracing::info!(
                kept = applied.kept,
                started = applied.started,
                stopped = applied.stopped,
                "configuration reloaded"
            ),
            Err(error) => {
                tracing::error!("configuration not reloaded, the old one stays: {error}");
            }
        }
    }

    fn reload(&mut self) -> Result<Applied, ReloadError> {
        let text = self.source.text()?;
        let config = self.source.parse(&text)?;
        let applied = self.engine.apply(&config)?;
        self.actions.apply(&config.actions);
        self.files = files(&self.source, &config);
        self.stamps = stamps(&self.files);
        Ok(applied)
    }
}

/// Why the old configuration stays.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Source(#[from] crate::source::SourceError),
    #[error(transparent)]
    Build(#[from] crate::attempt::BuildError),
}

/// The configuration's file, and those that it names: certificates are renewed in place.
fn files(source: &Source, config: &Config) -> Vec<PathBuf> {
    let mut files = vec![source.file.clone()];
    let probes = config.targets.iter().flat_map(|target| &target.probes);
    for tls in probes.filter_map(|probe| tls(&probe.handler)) {
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

fn tls(handler: &Handler) -> Option<&TlsFiles> {
    match handler {
        Handler::Http { tls, .. } => tls.as_ref(),
        Handler::Grpc { tls, .. } => Some(tls),
        _ => None,
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
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
