//! Records events about objects, compacted the way client-go compacts them, through the API.
//!
//! Recording never waits and never fails: a queue takes the event, one task per recorder writes it. What the
//! compaction drops, or the API refuses, is gone; an event is a courtesy, not state.

mod bucket;
mod cache;
mod correlate;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use probe::Clock;
use serde_json::json;
use tokio::sync::mpsc;

use crate::supervisor::{Component, Supervisor};
use bucket::Bucket;
use correlate::{Correlator, Observed, Occurrence};

/// Events that may wait for the writer; client-go's queue is as long, and drops what comes on top.
const QUEUE: usize = 1000;
/// How many events a recorder may write at once, and how many a second after that: the kubelet's `eventBurst` and
/// `eventRecordQPS`.
const BURST: f64 = 100.0;
const QPS: f64 = 50.0;
/// How often a name is changed because another recorder has just taken it.
const NAME_TRIES: u32 = 16;

/// What `kubectl get events` shows under TYPE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// Things go as they should.
    Normal,
    /// Things do not.
    Warning,
}

impl EventType {
    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Takes events of one component.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Occurrence>,
    clock: Clock,
}

impl Recorder {
    /// Starts a recorder for `component` (`kubelet`, `deployment-controller` …) on `host`, writing until the node shuts
    /// down.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(
        client: kube::Client,
        supervisor: &Supervisor,
        component: &str,
        host: Option<&str>,
    ) -> Self {
        let clock = supervisor.clock().clone();
        let (queue, events) = mpsc::channel(QUEUE);
        let source = EventSource {
            component: Some(component.to_owned()),
            host: host.map(str::to_owned),
        };
        let writer = Writer {
            client,
            clock: clock.clone(),
            source,
            correlator: Correlator::default(),
            last_name: 0,
            events,
            supervised: supervisor.component("event-recorder"),
        };
        let instance = component.to_owned();
        tokio::spawn(async move {
            let supervised = writer.supervised.clone();
            supervised
                .run(&instance, writer, |writer| writer.run().boxed())
                .await;
        });
        Self { queue, clock }
    }

    /// Records that `reason` happened to `object`. Ask a typed object for its reference with
    /// [`kube::Resource::object_ref`], and set `field_path` for a container.
    pub fn event(
        &self,
        object: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let occurrence = Occurrence {
            object: ObjectReference {
                resource_version: None,
                ..object.clone()
            },
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            at: self.clock.now(),
        };
        if self.queue.try_send(occurrence).is_err() {
            tracing::debug!(reason, "event dropped: the queue is full or closed");
        }
    }
}

/// Writes the events of one recorder, one after the other.
struct Writer {
    client: kube::Client,
    clock: Clock,
    source: EventSource,
    correlator: Correlator,
    last_name: i128,
    events: mpsc::Receiver<Occurrence>,
    supervised: Component,
}

impl Writer {
    async fn run(&mut self) {
        let mut pace = Bucket::full(BURST, QPS, self.clock.elapsed());
        while let Some(occurrence) = self.events.recv().await {
            self.supervised.failpoint();
            let elapsed = self.clock.elapsed();
            let Some(observed) = self.correlator.observe(occurrence, elapsed) else {
                continue;
            };
            let wait = pace.reserve(elapsed);
            if !wait.is_zero() {
                self.clock.sleep(wait).await;
            }
            if let Err(error) = self.write(&observed).await {
                tracing::debug!(%error, reason = observed.reason, "event not written");
            }
        }
    }

    async fn write(&mut self, observed: &Observed) -> kube::Result<()> {
        let namespace = observed.object.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if let Some(name) = &observed.written_as {
            let change = json!({
                "count": observed.count,
                "lastTimestamp": Time(observed.last),
                "message": observed.message,
            });
            match api
                .patch(name, &PatchParams::default(), &Patch::Strategic(change))
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        self.create(&api, namespace, observed).await
    }

    async fn create(
        &mut self,
        api: &Api<Event>,
        namespace: &str,
        observed: &Observed,
    ) -> kube::Result<()> {
        let mut tries = 0;
        loop {
            let name = self.name(observed);
            let event = self.event(&name, namespace, observed);
            match api.create(&PostParams::default(), &event).await {
                Err(kube::Error::Api(status)) if status.code == 409 && tries < NAME_TRIES => {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok(_) => {
                    self.correlator.written(&observed.key, name);
                    return Ok(());
                }
            }
        }
    }

    /// The object's name and a time in nanoseconds, moved on where the same nanosecond was used before: with time
    /// paused, that is the rule.
    fn name(&mut self, observed: &Observed) -> String {
        self.last_name = observed.last.as_nanosecond().max(self.last_name + 1);
        format!(
            "{}.{:x}",
            observed.object.name.as_deref().unwrap_or_default(),
            self.last_name
        )
    }

    fn event(&self, name: &str, namespace: &str, observed: &Observed) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: observed.object.clone(),
            type_: Some(observed.kind.as_str().to_owned()),
            reason: Some(observed.reason.clone()),
            message: Some(observed.message.clone()),
            count: Some(observed.count),
            first_timestamp: Some(Time(observed.first)),
            last_timestamp: Some(Time(observed.last)),
            source: Some(self.source.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Event::default()
        }
    }
}
