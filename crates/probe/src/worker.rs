//! The worker of one probe of one container, which probes once per period.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, Probe};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::attempt;
use crate::handler;
use crate::manager::{Shared, StartDelay};
use crate::prober::ProbeTarget;
use crate::results::ProbeKind;
use crate::spec::ProbeTiming;
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
    timing: ProbeTiming,
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
        let timing = ProbeTiming::new(probe);
        let (successes, failures) = (timing.success_threshold, timing.failure_threshold);
        let tracker = Tracker::new(kind, successes, failures);
        let delay = timing.initial_delay;
        let state = ProbeState::new(kind, tracker, delay, (&pod, container), &shared.options);
        Self {
            shared,
            handle,
            state,
            pod,
            container: container.clone(),
            probe: probe.clone(),
            timing,
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
        let period = self.timing.period;
        self.delay_start(period).await;
        let period = self.shared.clock.to_real(period);
        let mut ticks = interval_at(Instant::now() + period, period);
        // An attempt that outlasts a period is followed immediately by one more, at most.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let trigger = self.handle.trigger.clone();
        while self.do_probe_catching_panic().await {
            tokio::select! {
                // The kubelet chooses at random if both are ready; the order makes paused time reproducible.
                biased;
                due = ticks.tick() => self.trace_schedule_delay(due),
                () = trigger.notified() => ticks.reset(),
            }
        }
    }

    /// Waits a random part of the period after a start of the host, so that the probes of many pods do not coincide.
    async fn delay_start(&self, period: Duration) {
        if self.shared.clock.elapsed() >= period {
            return;
        }
        let fraction = match self.shared.options.start_delay {
            StartDelay::None => return,
            StartDelay::Random => rand::rng().random_range(0.0..1.0),
            StartDelay::Seeded(seed) => self.seeded_fraction(seed),
        };
        self.shared.clock.sleep(period.mul_f64(fraction)).await;
    }

    /// Returns a number in `0.0..1.0` that depends on the seed and the probe.
    fn seeded_fraction(&self, seed: u64) -> f64 {
        let mut hasher = DefaultHasher::new();
        let uid = self.pod.metadata.uid.as_deref();
        (seed, uid, &self.container.name, self.state.kind).hash(&mut hasher);
        StdRng::seed_from_u64(hasher.finish()).random_range(0.0..1.0)
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
        let timeout = self.shared.clock.to_real(self.timing.timeout);
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
