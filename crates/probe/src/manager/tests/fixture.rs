//! A manager, a pod and a prober that does as it is told.

use super::*;

pub(super) type Answer = Result<Verdict, ProbeError>;

/// Answers each attempt as it is told to at the time, and remembers when it was asked.
pub(super) struct Fake {
    pub(super) answer: Mutex<Answer>,
    pub(super) asked: Mutex<Vec<(u64, String)>>,
    pub(super) began: Instant,
}

#[async_trait]
impl Prober for Fake {
    async fn probe(&self, _: &Target, action: &Action, _: Duration) -> Result<Outcome, ProbeError> {
        let Action::Exec { command } = action else {
            panic!("only commands here: {action:?}")
        };
        self.asked
            .lock()
            .unwrap()
            .push((self.began.elapsed().as_secs(), command.join(" ")));
        let verdict = self.answer.lock().unwrap().clone()?;
        Ok(Outcome {
            verdict,
            reason: None,
            output: "out".to_owned(),
            took: Duration::ZERO,
        })
    }
}

#[derive(Default)]
pub(super) struct Events(pub(super) Mutex<Vec<String>>);

impl EventSink for Events {
    fn warning(&self, target: &Target, reason: &'static str, message: String) {
        self.0
            .lock()
            .unwrap()
            .push(format!("{} {reason}: {message}", target.container));
    }
}

pub(super) struct Fixture {
    pub(super) manager: Manager,
    pub(super) updates: mpsc::UnboundedReceiver<Update>,
    pub(super) fake: Arc<Fake>,
    pub(super) events: Arc<Events>,
    pub(super) pod: Pod,
}

impl Fixture {
    /// A pod with one container and these probes, running as its first instance.
    pub(super) fn new(probes: &serde_json::Value) -> Self {
        let mut container = json!({"name": "c"});
        container
            .as_object_mut()
            .unwrap()
            .extend(probes.as_object().unwrap().clone());
        let pod = json!({"metadata": {"uid": "u", "name": "p", "namespace": "n"}, "spec": {"containers": [container]}});
        let clock = Clock::new(start(), 1.0);
        let fake = Arc::new(Fake {
            answer: Mutex::new(Ok(Verdict::Success)),
            asked: Mutex::default(),
            began: Instant::now(),
        });
        let events = Arc::<Events>::default();
        let options = Options {
            started: start(),
            jitter: false,
            change_status_on_restart: false,
        };
        let (manager, updates) = Manager::new(clock, fake.clone(), events.clone(), options);
        let fixture = Self {
            manager,
            updates,
            fake,
            events,
            pod: serde_json::from_value(pod).unwrap(),
        };
        fixture.publish("1", true);
        fixture.manager.add_pod(&fixture.pod);
        fixture
    }

    /// Publishes the container as ready, so that nobody asks again.
    pub(super) fn publish(&self, id: &str, started: bool) {
        let mut status = status(running(), id, started);
        status.container_statuses.as_mut().unwrap()[0].ready = true;
        self.manager.set_status("u", status);
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.fake.answer.lock().unwrap() = answer;
    }

    pub(super) fn asked(&self) -> Vec<u64> {
        self.fake
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    pub(super) fn asked_what(&self) -> Vec<String> {
        self.fake
            .asked
            .lock()
            .unwrap()
            .iter()
            .map(|(_, command)| command.clone())
            .collect()
    }

    pub(super) fn told(&mut self) -> Vec<(ProbeKind, String, ProbeResult)> {
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

pub(super) fn ended(code: i32) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: code,
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

/// Lets the workers run for this long of paused time, and come to rest.
pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_millis(seconds * 1000 + 1)).await;
}
