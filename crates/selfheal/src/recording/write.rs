//! Records an exercise, from watches, for a comparison with the same exercise on another engine.

mod names;
mod normalize;
mod objects;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Endpoints, Event, Pod};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use probe::Clock;
use tokio::task::JoinSet;

use self::normalize::normalize;
use super::Recording;
use crate::exercise::report::Report;
use crate::exercise::table::Table;
use crate::exercise::{Exercise, selector};

/// Time after the last step in which its effects are still recorded, on the cluster's clock.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// Creates the directory for recordings if it does not exist, and checks that a file can be created in it.
pub(crate) fn prepare_dir(dir: &Path) -> anyhow::Result<()> {
    let probe = dir.join(format!(".selfheal-{}", std::process::id()));
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .with_context(|| format!("--record {}: cannot write to this directory", dir.display()))
}

impl Recording {
    /// Writes the recording to `EXERCISE.json` in the directory.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let file = dir.join(format!("{}.json", self.exercise));
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(&file, text)
            .with_context(|| format!("writing the recording {}", file.display()))
    }
}

/// An observed change or an action, and its time since the start of the exercise.
#[derive(Debug)]
struct Observation {
    at: Duration,
    presence: Presence,
    change: ObservedChange,
}

/// Content of an observation: an action, a table, or an object as the watch has sent it.
#[derive(Debug)]
enum ObservedChange {
    Action(String),
    /// Command and cells, heading first.
    Table(String, Vec<Vec<String>>),
    Pod(Box<Pod>),
    ReplicaSet(Box<ReplicaSet>),
    Deployment(Box<Deployment>),
    Endpoints(Box<Endpoints>),
    Event(Box<Event>),
}

/// Existence of an object after a watch event. Actions and tables always exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Exists,
    Deleted,
}

/// Records until it is stopped or dropped.
pub(crate) struct Recorder {
    log: ObservationLog,
    client: Client,
    namespace: String,
    watches: JoinSet<()>,
}

#[derive(Clone)]
struct ObservationLog {
    clock: Clock,
    /// Time of the clock at the start of the exercise.
    started: Duration,
    /// A std mutex: it is not held across an await.
    observations: Arc<Mutex<Vec<Observation>>>,
}

impl ObservationLog {
    fn push(&self, presence: Presence, change: ObservedChange) {
        let at = self.clock.elapsed().saturating_sub(self.started);
        self.lock().push(Observation {
            at,
            presence,
            change,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Observation>> {
        self.observations
            .lock()
            .expect("no holder of this lock panics")
    }
}

impl Recorder {
    /// Starts to watch the exercise's applications and the namespace's events.
    pub(crate) fn start(
        client: &Client,
        namespace: &str,
        clock: &Clock,
        exercise: &Exercise,
    ) -> Self {
        let log = ObservationLog {
            clock: clock.clone(),
            started: clock.elapsed(),
            observations: Arc::default(),
        };
        let mut watches = JoinSet::new();
        let all = watcher::Config::default();
        let target = (client, namespace, &log);
        watches.spawn(watch(target, all.clone(), ObservedChange::Event));
        for app in &exercise.apps {
            let by_label = all.clone().labels(&selector(app));
            let by_name = all.clone().fields(&format!("metadata.name={app}"));
            watches.spawn(watch(target, by_label.clone(), ObservedChange::Pod));
            watches.spawn(watch(target, by_label, ObservedChange::ReplicaSet));
            watches.spawn(watch(target, by_name.clone(), ObservedChange::Deployment));
            watches.spawn(watch(target, by_name, ObservedChange::Endpoints));
        }
        Self {
            log,
            client: client.clone(),
            namespace: namespace.to_owned(),
            watches,
        }
    }

    /// Records a step that changes the cluster.
    pub(crate) fn record_action(&self, text: String) {
        self.log
            .push(Presence::Exists, ObservedChange::Action(text));
    }

    /// Records a table that the exercise prints.
    pub(crate) fn record_table(&self, command: &str, table: &Table, wide: bool) {
        let change = ObservedChange::Table(command.to_owned(), table.cells(wide));
        self.log.push(Presence::Exists, change);
    }

    /// Waits for the effects of the last step and stops recording.
    pub(crate) async fn stop(mut self) -> Self {
        self.log.clock.sleep(SETTLE_TIME).await;
        self.watches.abort_all();
        self
    }

    /// Returns the recording.
    ///
    /// # Errors
    /// When the API server does not return its version.
    pub(crate) async fn finish(&self, report: &Report) -> anyhow::Result<Recording> {
        let version = self.client.apiserver_version().await;
        let version = version.context("requesting the version of the API server")?;
        let normalized = normalize(&self.log.lock(), &self.namespace);
        Ok(Recording {
            exercise: report.exercise.clone(),
            engine: report.engine.clone(),
            server_version: version.git_version,
            speed: self
                .log
                .clock
                .from_real(Duration::from_secs(1))
                .as_secs_f64(),
            stop_reason: report.reason.clone(),
            ..normalized
        })
    }
}

/// Records every object that a watch sends.
fn watch<K>(
    (client, namespace, log): (&Client, &str, &ObservationLog),
    config: watcher::Config,
    change: fn(Box<K>) -> ObservedChange,
) -> impl Future<Output = ()> + Send + 'static
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + Send
        + serde::de::DeserializeOwned
        + 'static,
{
    let api = Api::<K>::namespaced(client.clone(), namespace);
    let log = log.clone();
    async move {
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                    log.push(Presence::Exists, change(Box::new(object)));
                }
                Ok(watcher::Event::Delete(object)) => {
                    log.push(Presence::Deleted, change(Box::new(object)));
                }
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                // The watcher lists again.
                Err(error) => tracing::debug!(%error, "watch of the recorder interrupted"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
