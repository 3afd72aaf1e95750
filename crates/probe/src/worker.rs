//! One probe of one container: a loop of checks at the probe's period.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus, Probe};
use rand::RngExt as _;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::action;
use crate::attempt;
use crate::manager::Shared;
use crate::prober::Target;
use crate::results::ProbeKind;
use crate::tracker::Tracker;

pub(crate) mod check;

use check::{Check, Effect, Next};

/// How to reach a worker.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) stop: CancellationToken,
    /// Asks for a check now; one that is already asked for is enough.
    pub(crate) trigger: Arc<Notify>,
}

pub(crate) struct Worker {
    shared: Arc<Shared>,
    handle: Handle,
    pod: Arc<Pod>,
    container: Container,
    /// The probe as it was when the pod was first seen.
    probe: Probe,
    pub(crate) check: Check,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        handle: Handle,
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
        let check = Check::new(kind, tracker, delay, (&pod, container), &shared.options);
        Self {
            shared,
            handle,
            check,
            pod,
            container: container.clone(),
            probe: probe.clone(),
        }
    }

    /// Checks until it is stopped or there is nothing left to check.
    pub(crate) async fn run(mut self) {
        let stop = self.handle.stop.clone();
        // Whoever stops a worker does not wait for the attempt that is under way.
        stop.run_until_cancelled(self.checks()).await;
        if let Some(id) = &self.check.container_id {
            self.shared.results.forget(self.check.kind, id);
        }
        self.shared
            .unregister(&self.pod, &self.container.name, self.check.kind);
    }

    async fn checks(&mut self) {
        let period = seconds(self.probe.period_seconds, 10);
        self.jitter(period).await;
        let period = self.shared.clock.real(period);
        let mut ticks = interval_at(Instant::now() + period, period);
        // A check that outlasts a period is followed by one at once, and by no more than one.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let trigger = self.handle.trigger.clone();
        while self.once_or_crash().await {
            tokio::select! {
                due = ticks.tick() => self.say_lateness(due),
                () = trigger.notified() => ticks.reset(),
            }
        }
    }

    /// Right after the engine's own start the probes of many pods would all fall together.
    async fn jitter(&self, period: Duration) {
        if self.shared.options.jitter && self.shared.clock.elapsed() < period {
            let part = rand::rng().random_range(0.0..1.0);
            self.shared.clock.sleep(period.mul_f64(part)).await;
        }
    }

    fn say_lateness(&self, due: Instant) {
        tracing::trace!(
            pod = self.pod.metadata.name,
            container = self.container.name,
            kind = self.check.kind.as_str(),
            late_us = due.elapsed().as_micros(),
            "a probe is due"
        );
    }

    /// One check, after which the next comes even if it panicked: one broken probe must not end all of its successors.
    async fn once_or_crash(&mut self) -> bool {
        let check = AssertUnwindSafe(self.once()).catch_unwind();
        check.await.unwrap_or_else(|_| {
            tracing::error!(container = %self.container.name, "a probe panicked; it goes on");
            true
        })
    }

    /// One check; false once there will be no other.
    pub(crate) async fn once(&mut self) -> bool {
        let status = self.shared.status(&self.pod);
        let (effects, next) = self
            .check
            .prepare(status.as_deref(), self.shared.clock.now());
        for effect in effects {
            self.apply(effect);
        }
        match next {
            Next::Exit => return false,
            Next::Wait => return true,
            Next::Probe => {}
        }
        let Some(id) = self.check.container_id.clone() else {
            return true;
        };
        let target = self.target(&id, status.as_deref());
        let ip = target.ip.map(|ip| ip.to_string()).unwrap_or_default();
        let action = action::resolve(&self.probe, &self.container, &ip);
        let timeout = self
            .shared
            .clock
            .real(seconds(self.probe.timeout_seconds, 1));
        let kind = self.check.kind;
        let (prober, events) = (&*self.shared.prober, &*self.shared.events);
        if let Some(success) = attempt::check(prober, events, kind, &target, action, timeout).await
            && let Some(result) = self.check.tracker.observe(success)
        {
            self.shared.results.set(kind, &target.pod_uid, &id, result);
        }
        true
    }

    fn apply(&self, effect: Effect) {
        let results = &self.shared.results;
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        match effect {
            Effect::Forget(id) => results.forget(self.check.kind, &id),
            Effect::Store(id, result) => results.set(self.check.kind, uid, &id, result),
        }
    }

    fn target(&self, id: &str, status: Option<&PodStatus>) -> Target {
        let meta = &self.pod.metadata;
        Target {
            pod_uid: meta.uid.clone().unwrap_or_default(),
            namespace: meta.namespace.clone().unwrap_or_default(),
            pod: meta.name.clone().unwrap_or_default(),
            container: self.container.name.clone(),
            container_id: id.to_owned(),
            ip: status.and_then(|status| status.pod_ip.as_deref()?.parse().ok()),
        }
    }
}

/// A setting in seconds; absent and zero are its default, as the API server has it.
fn seconds(value: Option<i32>, default: u64) -> Duration {
    let given = value
        .and_then(|value| u64::try_from(value).ok())
        .filter(|value| *value > 0);
    Duration::from_secs(given.unwrap_or(default))
}
