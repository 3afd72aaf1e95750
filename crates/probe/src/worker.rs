//! The worker of one probe of one container, which probes once per period.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, Probe};
use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::attempt;
use crate::handler;
use crate::manager::{Shared, StartDelay};
use crate::prober::ProbeTarget;
use crate::results::ProbeKind;
use crate::tracker::Tracker;

pub(crate) mod state;

use state::{NextStep, ProbeState, ResultChange};

/// Controls a running worker.
#[derive(Clone)]
pub(crate) struct WorkerHandle {
    pub(crate) stop: CancellationToken,
    /// Requests an attempt now, as the kubelet's `manualTriggerCh`. Further requests before it are merged.
    pub(crate) trigger: Arc<Notify>,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    handle: WorkerHandle,
    pod: Arc<Pod>,
    container: Container,
    /// The probe when the pod was added. As in the kubelet, later changes have no effect.
    probe: Probe,
    pub(crate) state: ProbeState,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        handle: WorkerHandle,
        kind: ProbeKind,
        pod: Arc<Pod>,
        container: &Container,
        probe: &Probe,
    ) -> Self {
        let threshold = |value: Option<i32>, default: u32| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .filter(|value| *value > 0)
                .unwrap_or(default)
        };
        let tracker = Tracker::new(
            kind,
            threshold(probe.success_threshold, 1),
            threshold(probe.failure_threshold, 3),
        );
        let delay = probe.initial_delay_seconds.unwrap_or(0);
        let state = ProbeState::new(kind, tracker, delay, (&pod, container), &shared.options);
        Self {
            shared,
            handle,
            state,
            pod,
            container: container.clone(),
            probe: probe.clone(),
        }
    }

    /// Runs until the worker is stopped, or its container can no longer be probed.
    pub(crate) async fn run(mut self) {
        let stop = self.handle.stop.clone();
        // Stopping a worker aborts the attempt in flight.
        stop.run_until_cancelled(self.probe_loop()).await;
        if let Some(id) = &self.state.container_id {
            self.shared.results.remove(self.state.kind, id);
        }
        self.shared
            .unregister(&self.pod, &self.container.name, self.state.kind);
    }

    async fn probe_loop(&mut self) {
        let period = seconds_or_default(self.probe.period_seconds, 10);
        self.delay_start(period).await;
        let period = self.shared.clock.to_real(period);
        let mut ticks = interval_at(Instant::now() + period, period);
        // An attempt that outlasts a period is followed immediately by one more, at most.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let trigger = self.handle.trigger.clone();
        while self.do_probe_catching_panic().await {
            tokio::select! {
                due = ticks.tick() => self.trace_schedule_delay(due),
                () = trigger.notified() => ticks.reset(),
            }
        }
    }

    /// Waits a random part of the period after a start of the host, so that the probes of many pods do not coincide.
    async fn delay_start(&self, period: Duration) {
        let is_random = self.shared.options.start_delay == StartDelay::Random;
        if is_random && self.shared.clock.elapsed() < period {
            let part = rand::rng().random_range(0.0..1.0);
            self.shared.clock.sleep(period.mul_f64(part)).await;
        }
    }

    fn trace_schedule_delay(&self, due: Instant) {
        tracing::trace!(
            pod = self.pod.metadata.name,
            container = self.container.name,
            kind = self.state.kind.as_str(),
            schedule_delay_us = due.elapsed().as_micros(),
            "starting a probe"
        );
    }

    /// Like [`Self::do_probe`], but a panic does not stop the worker.
    async fn do_probe_catching_panic(&mut self) -> bool {
        let probe = AssertUnwindSafe(self.do_probe()).catch_unwind();
        probe.await.unwrap_or_else(|_| {
            tracing::error!(container = %self.container.name, "probe panicked; its worker continues");
            true
        })
    }

    /// Probes once, if the container can be probed now. Returns `false` if the worker must exit.
    pub(crate) async fn do_probe(&mut self) -> bool {
        let status = self.shared.status(&self.pod);
        let (changes, next) = self
            .state
            .prepare(status.as_deref(), self.shared.clock.now());
        for change in changes {
            self.apply(change);
        }
        match next {
            NextStep::Exit => return false,
            NextStep::Wait => return true,
            NextStep::Probe => {}
        }
        let Some(id) = self.state.container_id.clone() else {
            return true;
        };
        let target = self.target(&id, status.as_deref());
        let ip = target.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let handler = handler::resolve(&self.probe, &self.container, &ip);
        let timeout = self
            .shared
            .clock
            .to_real(seconds_or_default(self.probe.timeout_seconds, 1));
        let kind = self.state.kind;
        let (prober, events) = (&*self.shared.prober, &*self.shared.events);
        let success = attempt::probe(prober, events, kind, &target, handler, timeout).await;
        if let Some(success) = success
            && let Some(result) = self.state.tracker.observe(success)
        {
            self.shared.results.set(kind, &target.pod_uid, &id, result);
        }
        true
    }

    fn apply(&self, change: ResultChange) {
        let results = &self.shared.results;
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        match change {
            ResultChange::Remove(id) => results.remove(self.state.kind, &id),
            ResultChange::Store(id, result) => results.set(self.state.kind, uid, &id, result),
        }
    }

    fn target(&self, id: &str, status: Option<&PodStatus>) -> ProbeTarget {
        let meta = &self.pod.metadata;
        ProbeTarget {
            pod_uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            pod: meta.name.clone().unwrap_or_default(),
            container: self.container.name.clone(),
            container_id: id.to_owned(),
            ip: status.and_then(|status| status.pod_ip.as_deref()?.parse().ok()),
        }
    }
}

/// Converts a field in seconds. Absent and zero yield the default, as in the API server.
fn seconds_or_default(value: Option<i32>, default: u64) -> Duration {
    let seconds = value
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0);
    Duration::from_secs(seconds.unwrap_or(default))
}
