//! The simulated application of the container, as its probes see it.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use selfheal_probe::prediction::FaultMode;
use selfheal_probe::{
    Outcome, ProbeError, ProbeKind, ProbeTarget, Prober, ResolvedHandler, Verdict,
};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Something that happened, with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// An attempt started.
    Attempt(ProbeKind),
    /// A planned change of the application's health.
    HealthChanged,
    /// The published readiness changed.
    Ready(bool),
    /// A result required that the container be killed.
    Killed(ProbeKind),
    /// Another instance started.
    Restarted,
}

/// Health of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Healthy,
    Unhealthy,
}

/// Position of a change relative to an attempt that starts at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The attempt observes the change.
    Before,
    /// The attempt does not observe the change.
    After,
}

/// A change of the health at a future attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) kind: ProbeKind,
    /// 1 for the next attempt of this kind.
    pub(crate) attempt: u32,
    pub(crate) side: Side,
    pub(crate) health: Health,
}

struct State {
    health: Health,
    healthy_from: Option<Instant>,
    plan: Option<Plan>,
}

pub(crate) struct App {
    mode: FaultMode,
    state: Mutex<State>,
    events: mpsc::UnboundedSender<(Instant, Event)>,
    exits: watch::Sender<u32>,
}

impl App {
    pub(crate) fn new(mode: FaultMode, events: mpsc::UnboundedSender<(Instant, Event)>) -> Self {
        let state = State {
            health: Health::Healthy,
            healthy_from: None,
            plan: None,
        };
        Self {
            mode,
            state: Mutex::new(state),
            events,
            exits: watch::Sender::new(0),
        }
    }

    pub(crate) fn record(&self, event: Event) {
        // The receiver is dropped at the end of a run.
        let _ = self.events.send((Instant::now(), event));
    }

    /// Changes the health now.
    pub(crate) fn set_health(&self, health: Health) {
        let mut state = self.state.lock().expect("no panic");
        (state.health, state.healthy_from) = (health, None);
    }

    /// The application is unhealthy until `healthy_from`, or until a plan changes that.
    pub(crate) fn start(&self, healthy_from: Option<Instant>) {
        let mut state = self.state.lock().expect("no panic");
        (state.health, state.healthy_from) = (Health::Unhealthy, healthy_from);
    }

    pub(crate) fn plan(&self, plan: Plan) {
        self.state.lock().expect("no panic").plan = Some(plan);
    }

    /// Interrupts the attempts in flight: the exit of the process closes its connections.
    pub(crate) fn exit(&self) {
        self.exits.send_modify(|exits| *exits += 1);
    }

    /// Applies the plan and returns the health that the attempt observes.
    fn observe(&self, kind: ProbeKind) -> Health {
        let mut state = self.state.lock().expect("no panic");
        if state
            .healthy_from
            .is_some_and(|from| Instant::now() >= from)
        {
            (state.health, state.healthy_from) = (Health::Healthy, None);
        }
        let before = state.health;
        let Some(plan) = state.plan.as_mut().filter(|plan| plan.kind == kind) else {
            return before;
        };
        plan.attempt -= 1;
        if plan.attempt > 0 {
            return before;
        }
        let plan = *plan;
        (state.health, state.plan) = (plan.health, None);
        self.record(Event::HealthChanged);
        match plan.side {
            Side::Before => plan.health,
            Side::After => before,
        }
    }
}

#[async_trait]
impl Prober for App {
    async fn probe(
        &self,
        _: &ProbeTarget,
        handler: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        let ResolvedHandler::Exec { command } = handler else {
            panic!("not an exec probe: {handler:?}");
        };
        let kind = ProbeKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == command[0])
            .expect("a kind");
        self.record(Event::Attempt(kind));
        let verdict = match (self.observe(kind), self.mode) {
            (Health::Healthy, _) => Verdict::Success,
            (Health::Unhealthy, FaultMode::Immediate) => Verdict::Failure,
            (Health::Unhealthy, FaultMode::Hanging) => {
                let mut exits = self.exits.subscribe();
                tokio::select! {
                    () = tokio::time::sleep(timeout) => {}
                    exited = exits.changed() => exited.expect("the sender is alive"),
                }
                Verdict::Failure
            }
        };
        Ok(Outcome {
            verdict,
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}
