//! One pod's worker: brings its containers to what the manifest and the probes ask for, one step after the other.
//!
//! It is serial like the kubelet's own: while it waits for one container to end, no other of the pod is restarted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use component_helpers::events::EventType;
use container_runtime::{ContainerId, Exit, Sandbox, Volume};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use probe::backoff::{BackoffEntry, StartDecision, decide_start};
use probe::{ProbeKind, ProbeResult};
use tokio::sync::{Notify, watch};

use super::Context;
use super::actions::{Failed, Probed, RestartPolicy, Step, decide, kill_message};
use super::hooks::Subject;
use super::init::{self, Init, Plan};
use super::instance::{Exited, Record, Waiting};
use super::pods::Desired;
use super::sink::about;
use super::status::{Observed, phase};

mod end;
mod sandbox;
mod start;

/// How long after an error something is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// The longest a waiting pod is left alone.
const RESYNC: Duration = Duration::from_secs(60);
/// A container's least time to end, whatever it was given.
const LEAST_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Worker {
    context: Arc<Context>,
    desired: watch::Receiver<Desired>,
    wake: Arc<Notify>,
    exits: BoxStream<'static, Exit>,
    observed: watch::Sender<Observed>,
    /// What `observed` is sent from.
    state: Observed,
    sandbox: Option<Sandbox>,
    /// What its volumes have.
    volumes: Vec<Volume>,
    back_off: BTreeMap<String, BackoffEntry>,
    pulls: BTreeMap<String, start::Pull>,
    /// When to look again though nothing happens.
    next: Option<Timestamp>,
}

impl Worker {
    pub(super) fn new(
        context: Arc<Context>,
        desired: watch::Receiver<Desired>,
        observed: watch::Sender<Observed>,
        wake: Arc<Notify>,
        rejection: Option<Waiting>,
    ) -> Self {
        Self {
            // Before the first start, so that no exit is missed.
            exits: context.runtime.exits(),
            state: Observed {
                start_time: Some(context.clock.now()),
                failed: rejection,
                ..Observed::default()
            },
            context,
            desired,
            wake,
            observed,
            sandbox: None,
            volumes: Vec::new(),
            back_off: BTreeMap::new(),
            pulls: BTreeMap::new(),
            next: None,
        }
    }

    /// Runs the pod until it is gone. After a panic it goes on from what it has observed, as a kubelet that restarts goes
    /// on from what the container runtime reports: the containers that run are not restarted.
    pub(super) async fn run(&mut self) {
        loop {
            self.context.components.pod_worker.failpoint();
            let Desired { pod, gone } = self.desired.borrow_and_update().clone();
            if gone || pod.metadata.deletion_timestamp.is_some() {
                return self.end(&pod, gone).await;
            }
            self.next = None;
            self.sync(&pod).await;
            self.publish();
            self.wait(&pod).await;
        }
    }

    async fn wait(&mut self, pod: &Pod) {
        let next = self.next.unwrap_or(Timestamp::MAX);
        let clock = self.context.clock.clone();
        tokio::select! {
            Some(exit) = self.exits.next() => drop(self.observe(&exit)),
            () = self.wake.notified() => {}
            () = more_asked_for(&mut self.desired, pod) => {}
            () = clock.sleep_until(next), if self.next.is_some() => {}
        }
    }

    /// Looks again after `delay`, or earlier if something else asks for it.
    fn look_again(&mut self, delay: Duration) {
        let part = if self.context.config.jitter {
            rand::random_range(0.0..0.5)
        } else {
            0.0
        };
        let at = self
            .context
            .clock
            .now()
            .saturating_add(delay.mul_f64(1.0 + part))
            .unwrap_or(Timestamp::MAX);
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    async fn sync(&mut self, pod: &Pod) {
        // A pod that has ended for good stays as it is until it is deleted.
        if matches!(phase(pod, &self.state), "Succeeded" | "Failed")
            || self.is_past_its_deadline(pod).await
            || !self.has_sandbox(pod).await
        {
            return;
        }
        self.context.probes.add_pod(pod);
        let policy = RestartPolicy::parse(
            pod.spec
                .as_ref()
                .and_then(|spec| spec.restart_policy.as_deref()),
        );
        // What one container has come to may be another's turn.
        while self.pass(pod, policy).await {}
    }

    /// Looks at every container once; says whether any has begun or ended meanwhile.
    async fn pass(&mut self, pod: &Pod, policy: RestartPolicy) -> bool {
        let Some(spec) = &pod.spec else {
            return false;
        };
        // Before what follows, which may take its time.
        self.publish();
        let before = self.instances();
        let inits = spec.init_containers.as_deref().unwrap_or_default();
        let plan = self.plan(policy, inits, &spec.containers);
        let mut steps = Vec::new();
        if plan.done {
            for container in &spec.containers {
                let name = &container.name;
                steps.push((
                    container,
                    decide(policy, self.record(name), self.probed(name)),
                ));
            }
        }
        let all_finished = plan.done && steps.iter().all(|(_, step)| *step == Step::Finished);
        if plan.failed || all_finished {
            // Sidecars keep no pod alive, and are not started again.
            self.stop_all(pod, end::of_pod(pod)).await;
            return false;
        }
        for (place, step) in plan.steps {
            self.act(pod, &inits[place], step).await;
        }
        for (container, step) in steps {
            self.act(pod, container, step).await;
        }
        self.instances().iter().any(|now| !before.contains(now))
    }

    fn plan(&self, policy: RestartPolicy, inits: &[Container], regular: &[Container]) -> Plan {
        let inits: Vec<Init<'_>> = inits
            .iter()
            .map(|container| Init {
                sidecar: container.restart_policy.as_deref() == Some("Always"),
                record: self.record(&container.name),
                started: container.startup_probe.is_none()
                    || self.result(&container.name, ProbeKind::Startup)
                        == Some(ProbeResult::Success),
                probed: self.probed(&container.name),
            })
            .collect();
        let has_run = |container: &Container| self.record(&container.name).current.is_some();
        init::plan(policy, &inits, regular.iter().any(has_run))
    }

    fn record(&self, container: &str) -> &Record {
        static NEVER_RAN: Record = Record::NEVER_RAN;
        self.state.containers.get(container).unwrap_or(&NEVER_RAN)
    }

    /// The newest instance of every container that nothing holds back, and whether it has ended.
    fn instances(&self) -> Vec<(ContainerId, bool)> {
        let records = self.state.containers.values();
        let newest = records
            .filter(|record| record.waiting.is_none())
            .filter_map(|record| record.current.as_ref());
        newest
            .map(|instance| (instance.id.clone(), instance.exit.is_some()))
            .collect()
    }

    fn result(&self, container: &str, kind: ProbeKind) -> Option<ProbeResult> {
        let running = self.record(container).running()?;
        self.context.probes.result(kind, &running.id.0)
    }

    fn probed(&self, container: &str) -> Probed {
        let failed = |kind| self.result(container, kind) == Some(ProbeResult::Failure);
        Probed {
            liveness_failed: failed(ProbeKind::Liveness),
            startup_failed: failed(ProbeKind::Startup),
        }
    }

    async fn act(&mut self, pod: &Pod, container: &Container, step: Step) {
        // The back-off counts from what had ended before: the kubelet's list of instances is older than a kill.
        let ended = self.record(&container.name).newest_exit();
        match step {
            Step::Keep | Step::Finished => {}
            Step::Start => self.start_in_time(pod, container, ended).await,
            Step::Kill { failed, restart } => {
                let is_init = pod.spec.iter().any(|spec| {
                    let mut inits = spec.init_containers.iter().flatten();
                    inits.any(|init| init.name == container.name)
                });
                let message = kill_message(&container.name, failed, restart, is_init);
                let probe = match failed {
                    Failed::Liveness => container.liveness_probe.as_ref(),
                    Failed::Startup => container.startup_probe.as_ref(),
                };
                let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
                self.kill(pod, container, own, &message).await;
                if restart {
                    self.start_in_time(pod, container, ended).await;
                }
            }
        }
    }

    /// Starts a container unless it has ended too often of late.
    async fn start_in_time(&mut self, pod: &Pod, container: &Container, ended: Option<Exited>) {
        let now = self.context.clock.now();
        let name = &container.name;
        let entry = self
            .back_off
            .get(name)
            .copied()
            .filter(|entry| !probe::backoff::is_expired(*entry, now));
        match decide_start(
            self.context.config.back_off,
            entry,
            ended.map(|exit| exit.at),
            now,
        ) {
            StartDecision::Wait { until, delay } => self.hold_back(pod, container, until, delay),
            StartDecision::Start(entry) => {
                if let Some(entry) = entry {
                    self.back_off.insert(name.clone(), entry);
                }
                self.start(pod, container).await;
            }
        }
    }

    fn hold_back(&mut self, pod: &Pod, container: &Container, until: Timestamp, delay: Duration) {
        let name = &container.name;
        let pod_name = full_name(pod);
        let seconds = delay.as_secs();
        let length = if seconds < 60 {
            format!("{seconds}s")
        } else {
            format!("{}m{}s", seconds / 60, seconds % 60)
        };
        let message =
            format!("back-off {length} restarting failed container={name} pod={pod_name}");
        self.wait_for(name, Waiting::new("CrashLoopBackOff", message));
        let told = format!("Back-off restarting failed container {name} in pod {pod_name}");
        self.event(pod, Some(name), EventType::Warning, "BackOff", &told);
        let left =
            Duration::try_from(until.duration_since(self.context.clock.now())).unwrap_or_default();
        self.look_again(left.min(RESYNC));
    }

    fn subject(&self, pod: &Pod, container: &Container, id: ContainerId) -> Subject {
        Subject {
            context: self.context.clone(),
            pod: Arc::new(pod.clone()),
            container: container.clone(),
            id,
            ip: self.state.ip,
        }
    }

    fn wait_for(&mut self, container: &str, waiting: Waiting) {
        self.state
            .containers
            .entry(container.to_owned())
            .or_default()
            .waiting = Some(waiting);
    }

    /// Takes note of an exit; says whether it was one of this pod's.
    fn observe(&mut self, exit: &Exit) -> bool {
        self.state
            .containers
            .values_mut()
            .any(|record| record.observe(exit))
    }

    fn publish(&self) {
        self.observed.send_if_modified(|observed| {
            let changed = *observed != self.state;
            observed.clone_from(&self.state);
            changed
        });
    }

    fn event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: EventType,
        reason: &str,
        message: &str,
    ) {
        let about = about(pod, container);
        self.context.events.event(&about, kind, reason, message);
    }
}

async fn more_asked_for(desired: &mut watch::Receiver<Desired>, than: &Pod) {
    // The sender ends with the kubelet, and so does this task.
    drop(desired.wait_for(|now| now.asks_for_more_than(than)).await);
}

/// How messages name a pod: `name_namespace(uid)`.
fn full_name(pod: &Pod) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let meta = &pod.metadata;
    format!(
        "{}_{}({})",
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid)
    )
}
