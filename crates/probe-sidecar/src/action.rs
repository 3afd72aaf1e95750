//! Runs configured actions when the result of a probe changes. Actions are off by default, rate-limited and logged.
//!
//! An action reads the current state of its probe instead of relying on events, so a lost or delayed event does no harm. A
//! throttled action runs once its budget allows it, if the probe still has that result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::state::Status;
use crate::engine::{Engine, Event};
use crate::outcome::FailureReason;
use crate::spec::{ActionSpec, Health, endpoint_name};

mod budget;
mod executor;
mod process;
mod webhook;

use budget::{Budget, Throttled};
pub use executor::{ActionExecutor, LocalExecutor};

/// Execution mode of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// No action runs.
    Off,
    /// Actions are logged but not executed.
    DryRun,
    /// Actions are executed.
    On,
}

/// Counts the outcomes of each action (metric `probe_sidecar_actions_total`).
pub type Counts = Family<[(&'static str, String); 2], Counter>;

/// Actions of the active configuration.
pub struct Actions {
    shared: Arc<Shared>,
    running: Mutex<HashMap<String, (ActionSpec, AbortOnDropHandle<()>)>>,
}

struct Shared {
    engine: Engine,
    executor: Arc<dyn ActionExecutor>,
    mode: Mode,
    counts: Counts,
}

impl Actions {
    /// Creates a runner without actions.
    #[must_use]
    pub fn new(engine: Engine, executor: Arc<dyn ActionExecutor>, mode: Mode) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                executor,
                mode,
                counts: Counts::default(),
            }),
            running: Mutex::default(),
        }
    }

    /// Returns the counters by action and outcome: `executed`, `failed`, `dry_run` or `throttled`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.clone()
    }

    /// Replaces the active actions. Unchanged actions keep their budget.
    pub fn apply(&self, specs: &[ActionSpec]) {
        if self.shared.mode == Mode::Off {
            if !specs.is_empty() {
                tracing::warn!(
                    actions = specs.len(),
                    "actions are configured but off; enable them with --actions=on"
                );
            }
            return;
        }
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *running);
        for spec in specs {
            let known = before.remove(&spec.name).filter(|(known, _)| known == spec);
            let entry = known.unwrap_or_else(|| {
                let task = tokio::spawn(run(self.shared.clone(), spec.clone()));
                (spec.clone(), AbortOnDropHandle::new(task))
            });
            running.insert(spec.name.clone(), entry);
        }
    }
}

/// Occurrence of the status that triggers an action.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trigger {
    since: Duration,
    reason: Option<FailureReason>,
    output: Box<str>,
}

async fn run(shared: Arc<Shared>, spec: ActionSpec) {
    let mut changes = shared.engine.changes();
    let mut budget = Budget::new(spec.cool_down, spec.max_runs, spec.window);
    // Times of the triggers for which it ran last, and for which throttling was logged last.
    let (mut executed, mut throttled) = (None, None);
    let mut announced = None;
    loop {
        let trigger = shared.trigger(&spec).or(announced.take());
        let due = trigger.filter(|now| spec.repeat || executed != Some(now.since));
        let Some(trigger) = due else {
            match changes.recv().await {
                Err(RecvError::Closed) => return,
                Ok(event) => announced = announced_trigger(&spec, &event),
                Err(RecvError::Lagged(_)) => {}
            }
            continue;
        };
        let now = shared.engine.now();
        if let Some((until, reason)) = budget.throttled_until(now) {
            if throttled != Some((trigger.since, reason)) && executed != Some(trigger.since) {
                shared.audit(&spec, "throttled", &throttling_message(reason, until - now));
                throttled = Some((trigger.since, reason));
            }
            tokio::select! {
                () = tokio::time::sleep(until - now) => {}
                _ = changes.recv() => {}
            }
            continue;
        }
        budget.record(now);
        executed = Some(trigger.since);
        shared.execute(&spec, &trigger).await;
    }
}

/// Returns the trigger of a failure that started the startup phase of its target, so that its result is reset already.
fn announced_trigger(spec: &ActionSpec, event: &Event) -> Option<Trigger> {
    let Event::Transition(entry, transition) = event else {
        return None;
    };
    let is_awaited = *entry.target == *spec.target
        && entry.spec.kind == spec.kind
        && transition.to == Status::Unhealthy
        && spec.becomes == Health::Unhealthy;
    let output = entry.state().last().map(|last| last.output.clone());
    (is_awaited && entry.waits_for_startup()).then(|| Trigger {
        since: transition.at,
        reason: transition.reason,
        output: output.unwrap_or_default(),
    })
}

fn throttling_message(reason: Throttled, left: Duration) -> String {
    let left = left.as_secs();
    match reason {
        Throttled::CoolDown => format!("cool-down: {left} s left"),
        Throttled::Budget => format!("budget exhausted: {left} s left"),
    }
}

impl Shared {
    /// Returns the trigger if the probe has the status of the action.
    fn trigger(&self, spec: &ActionSpec) -> Option<Trigger> {
        if self.engine.is_stopped() {
            return None;
        }
        let snapshot = self.engine.snapshot();
        let entry = snapshot.target(&spec.target)?.probe(spec.kind)?;
        let state = entry.state();
        let (decided, since) = state.decided()?;
        if decided != spec.becomes {
            return None;
        }
        let last = state.last();
        Some(Trigger {
            since,
            reason: last.and_then(|last| last.reason),
            output: last.map(|last| last.output.clone()).unwrap_or_default(),
        })
    }

    async fn execute(&self, spec: &ActionSpec, trigger: &Trigger) {
        if spec.dry_run || self.mode == Mode::DryRun {
            self.audit(spec, "dry_run", "would have been executed");
            return;
        }
        let event = self.event_payload(spec, trigger);
        match self.executor.execute(&spec.effect, &event).await {
            Ok(detail) => self.audit(spec, "executed", &detail),
            Err(error) => self.audit(spec, "failed", &error),
        }
    }

    /// Returns the event as JSON.
    fn event_payload(&self, spec: &ActionSpec, trigger: &Trigger) -> String {
        json!({
            "action": spec.name,
            "probe": format!("{}/{}", endpoint_name(spec.kind), spec.target),
            "became": spec.becomes,
            "reason": trigger.reason.map(|reason| reason.kind),
            "code": trigger.reason.and_then(|reason| reason.code),
            "output": trigger.output,
            "at": format!("{:.3}", self.engine.clock().now()),
        })
        .to_string()
    }

    /// Logs and counts the outcome of an action.
    fn audit(&self, spec: &ActionSpec, outcome: &'static str, detail: &str) {
        let labels = [
            ("action", spec.name.clone()),
            ("outcome", outcome.to_owned()),
        ];
        self.counts.get_or_create(&labels).inc();
        let probe = format!("{}/{}", endpoint_name(spec.kind), spec.target);
        let became = spec.becomes.to_string();
        let (action, effect) = (&spec.name, spec.effect.to_string());
        if outcome == "failed" {
            tracing::error!(action, probe, became, effect, outcome, detail, "action");
        } else {
            tracing::info!(action, probe, became, effect, outcome, detail, "action");
        }
    }
}

#[cfg(test)]
mod tests;
