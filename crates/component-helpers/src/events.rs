//! Records events about objects through the API, aggregated and rate-limited as by client-go.
//!
//! Recording never blocks and never fails: a bounded queue accepts the event, and one task per recorder writes it. An event that
//! the correlator drops or the API rejects is lost: events are best effort.

mod correlate;
mod token_bucket;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, Patch, PatchParams, PostParams};
use probe::Clock;
use serde_json::json;
use tokio::sync::mpsc;

use crate::supervisor::{Component, Supervisor};
use correlate::{Correlator, EventToWrite, RawEvent};
use token_bucket::TokenBucket;

/// Capacity of the queue before the writer, as in client-go. Events beyond it are dropped.
const QUEUE_CAPACITY: usize = 1000;
/// Number of events that a recorder may write at once: the kubelet's `eventBurst`.
const EVENT_BURST: f64 = 100.0;
/// Number of events per second after the burst: the kubelet's `eventRecordQPS`.
const EVENT_RECORD_QPS: f64 = 50.0;
/// Maximum number of further names that are tried if a name exists.
const MAX_NAME_RETRIES: u32 = 16;

/// Type of an event, the column TYPE of `kubectl get events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// An expected event.
    Normal,
    /// An event that may need attention.
    Warning,
}

impl EventType {
    /// Returns the API's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Records the events of one component.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<RawEvent>,
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
        let (queue, events) = mpsc::channel(QUEUE_CAPACITY);
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

    /// Records an event about `object`. [`kube::Resource::object_ref`] returns the reference of a typed object; for a container
    /// set its `field_path`.
    pub fn event(
        &self,
        object: &ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let event = RawEvent {
            object: ObjectReference {
                resource_version: None,
                ..object.clone()
            },
            kind,
            reason: reason.to_owned(),
            message: message.into(),
            at: self.clock.now(),
        };
        if self.queue.try_send(event).is_err() {
            tracing::debug!(reason, "event dropped: the queue is full or closed");
        }
    }
}

/// Writes the events of one recorder in their order.
struct Writer {
    client: kube::Client,
    clock: Clock,
    source: EventSource,
    correlator: Correlator,
    last_name: i128,
    events: mpsc::Receiver<RawEvent>,
    supervised: Component,
}

impl Writer {
    async fn run(&mut self) {
        let mut rate_limit = TokenBucket::full(EVENT_BURST, EVENT_RECORD_QPS, self.clock.elapsed());
        while let Some(event) = self.events.recv().await {
            self.supervised.failpoint();
            let elapsed = self.clock.elapsed();
            let Some(event) = self.correlator.correlate(event, elapsed) else {
                continue;
            };
            let wait = rate_limit.reserve(elapsed);
            if !wait.is_zero() {
                self.clock.sleep(wait).await;
            }
            if let Err(error) = self.write(&event).await {
                tracing::debug!(%error, reason = event.reason, "event not written");
            }
        }
    }

    async fn write(&mut self, event: &EventToWrite) -> kube::Result<()> {
        let namespace = event.object.namespace.as_deref().unwrap_or("default");
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        if let Some(name) = &event.existing_name {
            let change = json!({
                "count": event.count,
                "lastTimestamp": Time(event.last),
                "message": event.message,
            });
            match api
                .patch(name, &PatchParams::default(), &Patch::Strategic(change))
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        self.create(&api, namespace, event).await
    }

    async fn create(
        &mut self,
        api: &Api<Event>,
        namespace: &str,
        event: &EventToWrite,
    ) -> kube::Result<()> {
        let mut retries = 0;
        loop {
            let name = self.next_name(event);
            let object = self.build_event(&name, namespace, event);
            match api.create(&PostParams::default(), &object).await {
                Err(kube::Error::Api(status))
                    if status.code == 409 && retries < MAX_NAME_RETRIES =>
                {
                    retries += 1;
                }
                Err(error) => return Err(error),
                Ok(_) => {
                    self.correlator.record_name(&event.key, name);
                    return Ok(());
                }
            }
        }
    }

    /// Returns the object's name with the time in nanoseconds, as client-go names events. The time is incremented if it was used
    /// before, which is usual while time is paused.
    fn next_name(&mut self, event: &EventToWrite) -> String {
        self.last_name = event.last.as_nanosecond().max(self.last_name + 1);
        format!(
            "{}.{:x}",
            event.object.name.as_deref().unwrap_or_default(),
            self.last_name
        )
    }

    fn build_event(&self, name: &str, namespace: &str, event: &EventToWrite) -> Event {
        Event {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: event.object.clone(),
            type_: Some(event.kind.as_str().to_owned()),
            reason: Some(event.reason.clone()),
            message: Some(event.message.clone()),
            count: Some(event.count),
            first_timestamp: Some(Time(event.first)),
            last_timestamp: Some(Time(event.last)),
            source: Some(self.source.clone()),
            reporting_component: self.source.component.clone(),
            reporting_instance: self.source.host.clone(),
            ..Event::default()
        }
    }
}
