//! A manager, a pod with one container, and a prober with configurable results.

use super::*;

pub(super) type ProbeOutcome = Result<Verdict, ProbeError>;

/// Returns the configured result for each attempt, and records times in seconds and commands.
pub(super) struct FakeProber {
    pub(super) result: Mutex<ProbeOutcome>,
    pub(super) probed: Mutex<Vec<(u64, String)>>,
    pub(super) started_at: Instant,
}

#[async_trait]
impl Prober for FakeProber {
    async fn probe(
        &self,
        _: &ProbeTarget,
        handler: &ResolvedHandler,
        _: Duration,
    ) -> Result<Outcome, ProbeError> {
        let ResolvedHandler::Exec { command } = handler else {
            panic!("not an exec probe: {handler:?}")
        };
        self.probed
            .lock()
            .unwrap()
            .push((self.started_at.elapsed().as_secs(), command.join(" ")));
        let verdict = self.result.lock().unwrap().clone()?;
        Ok(Outcome {
            verdict,
            reason: None,
            output: "out".to_owned(),
            took: Duration::ZERO,
        })
    }
}

#[derive(Default)]
pub(super) struct EventRecorder(pub(super) Mutex<Vec<String>>);

impl EventSink for EventRecorder {
    fn warning(&self, target: &ProbeTarget, reason: &'static str, message: String) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{} {reason}: {message}", target.container));
    }
}

pub(super) struct Fixture {
    pub(super) manager: Manager,
    pub(super) updates: mpsc::UnboundedReceiver<Update>,
    pub(super) prober: Arc<FakeProber>,
    pub(super) events: Arc<EventRecorder>,
    pub(super) pod: Pod,
}

impl Fixture {
    /// Adds a pod with one container and these probes, running as its first instance.
    pub(super) fn new(probes: &serde_json::Value) -> Self {
        let mut container = json!({"name": "c"});
        container
            .as_object_mut()
            .unwrap()
            .extend(probes.as_object().unwrap().clone());
        let pod = json!({"metadata": {"uid": "u", "name": "p", "namespace": "n"}, "spec": {"containers": [container]}});
        let clock = Clock::new(start(), 1.0);
        let prober = Arc::new(FakeProber {
            result: Mutex::new(Ok(Verdict::Success)),
            probed: Mutex::default(),
            started_at: Instant::now(),
        });
        let events = Arc::<EventRecorder>::default();
        let options = ManagerOptions {
            host_started_at: start(),
            start_delay: StartDelay::None,
            change_status_on_restart: false,
        };
        let (manager, updates) = Manager::new(clock, prober.clone(), events.clone(), options);
        let fixture = Self {
            manager,
            updates,
            prober,
            events,
            pod: serde_json::from_value(pod).unwrap(),
        };
        fixture.publish("1", true);
        fixture.manager.add_pod(&fixture.pod);
        fixture
    }

    /// Publishes the container as ready, so that no readiness probe is triggered.
    pub(super) fn publish(&self, id: &str, started: bool) {
        let mut status = status(running(), id, started);
        status.container_statuses.as_mut().unwrap()[0].ready = true;
        self.manager.set_status("u", status);
    }

    pub(super) fn set_result(&self, result: ProbeOutcome) {
        *self.prober.result.lock().unwrap() = result;
    }

    pub(super) fn probe_times(&self) -> Vec<u64> {
        self.prober
            .probed
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    pub(super) fn probed_commands(&self) -> Vec<String> {
        self.prober
            .probed
            .lock()
            .unwrap()
            .iter()
            .map(|(_, command)| command.clone())
            .collect()
    }

    pub(super) fn take_updates(&mut self) -> Vec<(ProbeKind, String, ProbeResult)> {
        std::iter::from_fn(|| self.updates.try_recv().ok())
            .map(|update| (update.kind, update.container_id, update.result))
            .collect()
    }

    pub(super) fn readiness(&self) -> (bool, bool) {
        let mut status = status(running(), "1", true);
        self.manager.update_pod_status(&self.pod, &mut status);
        let container = status.container_statuses.as_ref().unwrap()[0].clone();
        self.manager.set_status("u", status);
        (container.started.unwrap(), container.ready)
    }
}

pub(super) fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

pub(super) fn running() -> ContainerState {
    ContainerState {
        running: Some(ContainerStateRunning {
            started_at: Some(Time(start())),
        }),
        ..ContainerState::default()
    }
}

pub(super) fn terminated(exit_code: i32) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code,
        ..ContainerStateTerminated::default()
    };
    ContainerState {
        terminated: Some(terminated),
        ..ContainerState::default()
    }
}

pub(super) fn status(state: ContainerState, id: &str, started: bool) -> PodStatus {
    let container = ContainerStatus {
        name: "c".to_owned(),
        container_id: Some(format!("test://{id}")),
        state: Some(state),
        started: Some(started),
        ..ContainerStatus::default()
    };
    PodStatus {
        phase: Some("Running".to_owned()),
        container_statuses: Some(vec![container]),
        ..PodStatus::default()
    }
}

pub(super) fn probe(name: &str) -> serde_json::Value {
    json!({"exec": {"command": [name]}, "periodSeconds": 10, "failureThreshold": 2})
}

/// Advances paused time and lets the workers become idle.
pub(super) async fn advance(seconds: u64) {
    tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
}
