//! A host that acts on results as a kubelet does: it publishes statuses, kills and restarts the container.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodStatus;
use selfheal_probe::prediction::FaultMode;
use selfheal_probe::{
    Clock, EventSink, Manager, ManagerOptions, ProbeKind, ProbeResult, ProbeTarget, StartDelay,
    Update,
};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::app::{App, Event};
use crate::settings::{POD_UID, Setting};

/// Limit for waiting in virtual time.
const WAIT_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Publication of the exit before the next instance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    /// As in a pod sync that kills and restarts.
    Unpublished,
    /// As after a back-off.
    Published,
}

/// Behaviour of the container when it is killed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RestartBehaviour {
    pub(crate) termination: Duration,
    pub(crate) start_time: Duration,
    pub(crate) exit_status: ExitStatus,
    /// Time from the new start to a pod sync with another cause.
    pub(crate) sync_after: Option<Duration>,
}

struct State {
    instance: u32,
    started_at: Option<Timestamp>,
    is_terminating: bool,
    is_ready: bool,
    workers: BTreeSet<ProbeKind>,
    restart: RestartBehaviour,
}

pub(crate) struct Host {
    setting: Setting,
    clock: Clock,
    manager: Manager,
    pub(crate) app: Arc<App>,
    state: Mutex<State>,
}

/// Events of a run, in order.
pub(crate) struct Events(mpsc::UnboundedReceiver<(Instant, Event)>);

struct IgnoredEvents;

impl EventSink for IgnoredEvents {
    fn warning(&self, _: &ProbeTarget, _: &'static str, _: String) {}
}

/// Runs a scenario on its own paused time.
pub(crate) fn on_paused_time<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(scenario)
}

impl Host {
    pub(crate) fn start(setting: &Setting, mode: FaultMode) -> (Arc<Self>, Events) {
        Self::start_with_delay(setting, mode, StartDelay::None)
    }

    pub(crate) fn start_with_delay(
        setting: &Setting,
        mode: FaultMode,
        start_delay: StartDelay,
    ) -> (Arc<Self>, Events) {
        let wall = "2026-01-02T03:04:05Z".parse().expect("a time");
        let clock = Clock::new(wall, 1.0);
        let (sender, events) = mpsc::unbounded_channel();
        let app = Arc::new(App::new(mode, sender));
        let options = ManagerOptions {
            host_started_at: wall,
            start_delay,
            change_status_on_restart: false,
        };
        let (manager, updates) =
            Manager::new(clock.clone(), app.clone(), Arc::new(IgnoredEvents), options);
        let state = State {
            instance: 1,
            started_at: None,
            is_terminating: false,
            is_ready: false,
            workers: BTreeSet::new(),
            restart: RestartBehaviour {
                termination: Duration::ZERO,
                start_time: Duration::ZERO,
                exit_status: ExitStatus::Unpublished,
                sync_after: None,
            },
        };
        let host = Arc::new(Self {
            setting: setting.clone(),
            clock,
            manager,
            app,
            state: Mutex::new(state),
        });
        tokio::spawn(host.clone().run(updates));
        (host, Events(events))
    }

    async fn run(self: Arc<Self>, mut updates: mpsc::UnboundedReceiver<Update>) {
        while let Some(update) = updates.recv().await {
            let is_current = update.container_id == self.lock().instance.to_string();
            let is_failure = update.result == ProbeResult::Failure;
            // The kubelet syncs the pod for these results.
            if !is_current || (update.kind == ProbeKind::Liveness && !is_failure) {
                continue;
            }
            self.publish();
            let is_fatal = update.kind != ProbeKind::Readiness && is_failure;
            if is_fatal && !std::mem::replace(&mut self.lock().is_terminating, true) {
                self.app.record(Event::Killed(update.kind));
                tokio::spawn(self.clone().restart());
            }
        }
    }

    async fn restart(self: Arc<Self>) {
        let behaviour = self.lock().restart;
        tokio::time::sleep(behaviour.termination).await;
        self.app.exit();
        if behaviour.exit_status == ExitStatus::Published {
            self.lock().started_at = None;
            self.publish();
        }
        let healthy_from = Instant::now() + behaviour.start_time;
        {
            let mut state = self.lock();
            state.instance += 1;
            state.is_terminating = false;
        }
        self.app.record(Event::Restarted);
        self.start_container(Some(healthy_from));
        if let Some(time) = behaviour.sync_after {
            tokio::time::sleep(time).await;
            self.publish();
        }
    }

    pub(crate) fn set_restart_behaviour(&self, behaviour: RestartBehaviour) {
        self.lock().restart = behaviour;
    }

    /// Starts an instance that is healthy from this time on. Its published start time has whole seconds.
    pub(crate) fn start_container(&self, healthy_from: Option<Instant>) {
        self.app.start(healthy_from);
        self.publish_start(self.clock.now());
    }

    /// Publishes a container that has been running for `age`.
    pub(crate) fn start_container_before(&self, age: Duration) {
        self.publish_start(self.clock.now() - age);
    }

    fn publish_start(&self, time: Timestamp) {
        let seconds = Timestamp::from_second(time.as_second()).expect("a time");
        self.lock().started_at = Some(seconds);
        self.publish();
    }

    /// Starts the worker of a probe. Its first tick is now.
    pub(crate) fn add_worker(&self, kind: ProbeKind) {
        let kinds: Vec<ProbeKind> = {
            let mut state = self.lock();
            state.workers.insert(kind);
            state.workers.iter().copied().collect()
        };
        self.manager.add_pod(&self.setting.pod_with(&kinds));
    }

    /// Computes and publishes the pod's status, as each pod sync does.
    pub(crate) fn publish(&self) {
        let (instance, started_at) = {
            let state = self.lock();
            (state.instance, state.started_at)
        };
        let state = match started_at {
            Some(time) => json!({"running": {"startedAt": time.to_string()}}),
            None => json!({"terminated": {"exitCode": 137}}),
        };
        let mut status: PodStatus = serde_json::from_value(json!({
            "phase": "Running",
            "containerStatuses": [{
                "name": "app", "containerID": format!("test://{instance}"), "image": "", "imageID": "",
                "restartCount": 0, "ready": false, "state": state,
            }],
        }))
        .expect("a status");
        self.manager
            .update_pod_status(&self.setting.pod, &mut status);
        let is_ready = status
            .container_statuses
            .as_ref()
            .is_some_and(|statuses| statuses[0].ready);
        self.manager.set_status(POD_UID, status);
        let was_ready = std::mem::replace(&mut self.lock().is_ready, is_ready);
        if was_ready != is_ready {
            self.app.record(Event::Ready(is_ready));
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.lock().is_ready
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

impl Events {
    /// Waits for an event at or after `since`, and drops the events before it.
    pub(crate) async fn wait_for(&mut self, event: Event, since: Instant) -> Instant {
        self.wait_for_any(&[event], since).await.0
    }

    /// Like [`Self::wait_for`], for the first of several events.
    pub(crate) async fn wait_for_any(
        &mut self,
        events: &[Event],
        since: Instant,
    ) -> (Instant, Event) {
        let found = tokio::time::timeout(WAIT_LIMIT, async {
            loop {
                let (at, event) = self.0.recv().await.expect("the app is alive");
                if at >= since && events.contains(&event) {
                    return (at, event);
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("none of {events:?} after {WAIT_LIMIT:?}"))
    }
}
