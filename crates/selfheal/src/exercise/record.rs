//! Records an exercise for a comparison with the same exercise elsewhere, seen by watch as its claims are.

mod names;
mod objects;
mod transcribe;

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

use self::transcribe::transcribe;
use super::report::Report;
use super::table::Table;
use super::{Exercise, selector};
use crate::recording::Recording;

/// How long a change may take, on the cluster's clock, until all who have to do with it have had their part.
const SETTLE: Duration = Duration::from_secs(2);

/// Something seen or done, and when.
#[derive(Debug)]
struct Seen {
    at: Duration,
    /// Whether it is the object's end.
    gone: bool,
    what: What,
}

#[derive(Debug)]
enum What {
    Act(String),
    Table(String, Vec<Vec<String>>),
    Pod(Box<Pod>),
    Set(Box<ReplicaSet>),
    Deployment(Box<Deployment>),
    Endpoints(Box<Endpoints>),
    Event(Box<Event>),
}

/// Watches until dropped.
pub(crate) struct Recorder {
    log: Log,
    client: Client,
    namespace: String,
    watches: JoinSet<()>,
}

#[derive(Clone)]
struct Log {
    clock: Clock,
    began: Duration,
    /// A std mutex: nothing awaits while it is held.
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Log {
    fn note(&self, what: What, gone: bool) {
        let at = self.clock.elapsed().saturating_sub(self.began);
        let mut seen = self.seen.lock().expect("nothing panics while it holds it");
        seen.push(Seen { at, gone, what });
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
        let log = Log {
            clock: clock.clone(),
            began: clock.elapsed(),
            seen: Arc::default(),
        };
        let mut watches = JoinSet::new();
        let everything = watcher::Config::default();
        let of = (client, namespace, &log);
        watches.spawn(follow(of, everything.clone(), What::Event));
        for app in &exercise.apps {
            let labelled = everything.clone().labels(&selector(app));
            let named = everything.clone().fields(&format!("metadata.name={app}"));
            watches.spawn(follow(of, labelled.clone(), What::Pod));
            watches.spawn(follow(of, labelled, What::Set));
            watches.spawn(follow(of, named.clone(), What::Deployment));
            watches.spawn(follow(of, named, What::Endpoints));
        }
        Self {
            log,
            client: client.clone(),
            namespace: namespace.to_owned(),
            watches,
        }
    }

    /// Notes what the exercise does now.
    pub(crate) fn act(&self, text: String) {
        self.log.note(What::Act(text), false);
    }

    /// Notes a table that the exercise shows.
    pub(crate) fn table(&self, command: &str, table: &Table, wide: bool) {
        self.log
            .note(What::Table(command.to_owned(), table.cells(wide)), false);
    }

    /// Lets nothing more be recorded, once what the last step has caused is seen too.
    pub(crate) async fn stop(mut self) -> Self {
        self.log.clock.sleep(SETTLE).await;
        self.watches.abort_all();
        self
    }

    /// What was recorded up to now.
    pub(crate) async fn finish(&self, report: &Report) -> anyhow::Result<Recording> {
        let version = self.client.apiserver_version().await;
        let version = version.context("asking the API server for its version")?;
        let seen = self.log.seen.lock();
        let seen = seen.expect("nothing panics while it holds it");
        let told = transcribe(&seen, &self.namespace);
        Ok(Recording {
            exercise: report.exercise.clone(),
            engine: report.engine.clone(),
            version: version.git_version,
            pace: self
                .log
                .clock
                .from_real(Duration::from_secs(1))
                .as_secs_f64(),
            stopped: report.reason.clone(),
            ..told
        })
    }
}

/// Notes each object that a watch shows, as often as it shows it.
fn follow<K>(
    (client, namespace, log): (&Client, &str, &Log),
    config: watcher::Config,
    what: fn(Box<K>) -> What,
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
                    log.note(what(Box::new(object)), false);
                }
                Ok(watcher::Event::Delete(object)) => log.note(what(Box::new(object)), true),
                Ok(watcher::Event::Init | watcher::Event::InitDone) => {}
                // The watcher lists again by itself.
                Err(error) => tracing::debug!(%error, "a recorder's watch was interrupted"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
