//! Does something when a probe comes to another result: off unless asked for, within a budget, and told of in the log.
//!
//! An action looks at what holds, not at what it is told: word that got lost, or that came while it had to wait, costs
//! nothing. What its budget holds back is done when the budget allows, if the result still stands then.

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
use crate::finding::Why;
use crate::spec::{ActionSpec, endpoint};

mod budget;
mod hands;
mod process;
mod webhook;

use budget::{Budget, Held};
pub use hands::{Hands, Own};

/// Whether actions are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// They are not.
    Off,
    /// They are told of and not done.
    DryRun,
    /// They are.
    On,
}

/// How often each action came to what.
pub type Counts = Family<[(&'static str, String); 2], Counter>;

/// Every action of a configuration.
pub struct Actions {
    shared: Arc<Shared>,
    running: Mutex<HashMap<String, (ActionSpec, AbortOnDropHandle<()>)>>,
}

struct Shared {
    engine: Engine,
    hands: Arc<dyn Hands>,
    mode: Mode,
    counts: Counts,
}

impl Actions {
    /// None yet.
    #[must_use]
    pub fn new(engine: Engine, hands: Arc<dyn Hands>, mode: Mode) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                hands,
                mode,
                counts: Counts::default(),
            }),
            running: Mutex::default(),
        }
    }

    /// How often each action came to what: `done`, `failed`, `dry_run`, or `held` back.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.clone()
    }

    /// Runs these from now on. Those that are the same remember how often they were done.
    pub fn apply(&self, specs: &[ActionSpec]) {
        if self.shared.mode == Mode::Off {
            if !specs.is_empty() {
                tracing::warn!(
                    actions = specs.len(),
                    "actions are off; --actions=on has them done"
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

/// What an action waits for, when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Occasion {
    since: Duration,
    reason: Option<Why>,
    said: Box<str>,
}

async fn run(shared: Arc<Shared>, spec: ActionSpec) {
    let mut changes = shared.engine.changes();
    let mut budget = Budget::new(spec.cool_down, spec.most, spec.window);
    // What it was done for last, and what it was held back for.
    let (mut done, mut held) = (None, None);
    let mut announced = None;
    loop {
        let occasion = shared.occasion(&spec).or(announced.take());
        let due = occasion.filter(|now| spec.repeat || done != Some(now.since));
        let Some(occasion) = due else {
            match changes.recv().await {
                Err(RecvError::Closed) => return,
                Ok(event) => announced = announced_occasion(&spec, &event),
                Err(RecvError::Lagged(_)) => {}
            }
            continue;
        };
        let now = shared.engine.now();
        if let Some((until, why)) = budget.held(now) {
            if held != Some((occasion.since, why)) && done != Some(occasion.since) {
                shared.audit(&spec, "held", &words(why, until - now));
                held = Some((occasion.since, why));
            }
            tokio::select! {
                () = tokio::time::sleep(until - now) => {}
                _ = changes.recv() => {}
            }
            continue;
        }
        budget.take(now);
        done = Some(occasion.since);
        shared.act(&spec, &occasion).await;
    }
}

/// Returns the occasion of a failure after which the target's startup phase began at once: its result stands no more.
fn announced_occasion(spec: &ActionSpec, event: &Event) -> Option<Occasion> {
    let Event::Transition(entry, transition) = event else {
        return None;
    };
    let is_awaited = *entry.target == *spec.target
        && entry.spec.kind == spec.kind
        && transition.to == Status::Unhealthy
        && !spec.becomes;
    let said = entry.state().last().map(|last| last.output.clone());
    (is_awaited && entry.waits()).then(|| Occasion {
        since: transition.at,
        reason: transition.reason,
        said: said.unwrap_or_default(),
    })
}

fn words(why: Held, left: Duration) -> String {
    let left = left.as_secs();
    match why {
        Held::CoolDown => format!("cools down for another {left} s"),
        Held::Budget => format!("its budget is spent for another {left} s"),
    }
}

impl Shared {
    /// Whether what the action waits for holds.
    fn occasion(&self, spec: &ActionSpec) -> Option<Occasion> {
        if self.engine.is_stopped() {
            return None;
        }
        let set = self.engine.set();
        let entry = set.target(&spec.target)?.probe(spec.kind)?;
        let state = entry.state();
        let (decided, since) = state.decided()?;
        if decided != spec.becomes {
            return None;
        }
        let last = state.last();
        Some(Occasion {
            since,
            reason: last.and_then(|last| last.reason),
            said: last.map(|last| last.output.clone()).unwrap_or_default(),
        })
    }

    async fn act(&self, spec: &ActionSpec, occasion: &Occasion) {
        if spec.dry_run || self.mode == Mode::DryRun {
            self.audit(spec, "dry_run", "would have been done");
            return;
        }
        let story = self.story(spec, occasion);
        match self.hands.act(&spec.deed, &story).await {
            Ok(what) => self.audit(spec, "done", &what),
            Err(why) => self.audit(spec, "failed", &why),
        }
    }

    /// What happened, in JSON.
    fn story(&self, spec: &ActionSpec, occasion: &Occasion) -> String {
        json!({
            "action": spec.name,
            "probe": format!("{}/{}", endpoint(spec.kind), spec.target),
            "became": if spec.becomes { "healthy" } else { "unhealthy" },
            "reason": occasion.reason.map(|why| why.word),
            "code": occasion.reason.and_then(|why| why.code),
            "output": occasion.said,
            "at": format!("{:.3}", self.engine.clock().now()),
        })
        .to_string()
    }

    /// The line that says what was done, or not, and why.
    fn audit(&self, spec: &ActionSpec, outcome: &'static str, detail: &str) {
        let labels = [
            ("action", spec.name.clone()),
            ("outcome", outcome.to_owned()),
        ];
        self.counts.get_or_create(&labels).inc();
        let probe = format!("{}/{}", endpoint(spec.kind), spec.target);
        let became = if spec.becomes { "healthy" } else { "unhealthy" };
        let (action, deed) = (&spec.name, spec.deed.to_string());
        if outcome == "failed" {
            tracing::error!(action, probe, became, deed, outcome, detail, "action");
        } else {
            tracing::info!(action, probe, became, deed, outcome, detail, "action");
        }
    }
}

#[cfg(test)]
mod tests;
