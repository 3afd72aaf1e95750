//! Runs configured actions when the status of a probe or group changes. Actions are off by default, rate-limited and logged.
//!
//! An action reads the current status instead of relying on events, so a lost or delayed event does no harm. A throttled or
//! failed action runs later, if its trigger lasts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tokio_util::task::AbortOnDropHandle;

use crate::engine::Engine;
use crate::spec::ActionSpec;

mod backoff;
mod budget;
mod event;
mod executor;
mod process;
mod runner;
mod state_file;
mod trigger;
mod webhook;

use budget::Budget;
pub use event::Event;
pub use executor::{ActionExecutor, LocalExecutor};
pub use state_file::StateFile;

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
    running: Mutex<HashMap<String, Running>>,
}

/// A running action.
struct Running {
    spec: ActionSpec,
    progress: SharedProgress,
    _task: AbortOnDropHandle<()>,
}

/// Progress of an action; a reload passes it on.
#[derive(Debug)]
struct Progress {
    budget: Budget,
    /// Start of the trigger for which the action ran last.
    handled: Option<Duration>,
    /// `true` if a message about the end of the trigger is outstanding.
    is_open: bool,
}

type SharedProgress = Arc<Mutex<Progress>>;

struct Shared {
    engine: Engine,
    executor: Arc<dyn ActionExecutor>,
    mode: Mode,
    counts: Counts,
    state_file: Option<StateFile>,
}

impl Actions {
    /// Creates a runner without actions. Budgets are kept in `state_file`, if there is one.
    #[must_use]
    pub fn new(
        engine: Engine,
        executor: Arc<dyn ActionExecutor>,
        mode: Mode,
        state_file: Option<StateFile>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                engine,
                executor,
                mode,
                counts: Counts::default(),
                state_file,
            }),
            running: Mutex::default(),
        }
    }

    /// Returns the counters by action and outcome: `executed`, `failed`, `dry_run` or `throttled`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts.clone()
    }

    /// Replaces the active actions. A changed or renamed action keeps its budget and the trigger that it has handled.
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
        let mut previous = std::mem::take(&mut *running);
        for spec in specs {
            let known = previous.remove(&spec.name);
            let known = known.or_else(|| remove_renamed(&mut previous, spec, specs));
            let action = match known {
                Some(known) if known.spec == *spec => known,
                known => self.start(spec, known),
            };
            running.insert(spec.name.clone(), action);
        }
    }

    fn start(&self, spec: &ActionSpec, previous: Option<Running>) -> Running {
        let (handled, is_open, runs) = match &previous {
            // A different trigger has not been handled.
            Some(known) => {
                let progress = known
                    .progress
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let is_same =
                    known.spec.source == spec.source && known.spec.becomes == spec.becomes;
                let handled = progress.handled.filter(|_| is_same);
                (handled, progress.is_open && is_same, progress.budget.runs())
            }
            None => {
                let file = self.shared.state_file.as_ref();
                let runs = file.map(|file| file.runs(&spec.name));
                (None, false, runs.unwrap_or_default())
            }
        };
        // The task of the previous action must not run beside the new one.
        drop(previous);
        let progress = Arc::new(Mutex::new(Progress {
            budget: Budget::new(spec.cool_down, spec.max_runs, spec.window, runs),
            handled,
            is_open,
        }));
        let task = runner::run(self.shared.clone(), spec.clone(), progress.clone());
        Running {
            spec: spec.clone(),
            progress,
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
        }
    }
}

/// Removes the action that equals `spec` except for its name, if that name is not used any more.
fn remove_renamed(
    previous: &mut HashMap<String, Running>,
    spec: &ActionSpec,
    specs: &[ActionSpec],
) -> Option<Running> {
    let is_same = |known: &&String| {
        let renamed = previous.get(*known).is_some_and(|action| {
            let mut other = action.spec.clone();
            other.name.clone_from(&spec.name);
            other == *spec
        });
        renamed && !specs.iter().any(|spec| spec.name == **known)
    };
    let name = previous.keys().find(is_same)?.clone();
    previous.remove(&name)
}

impl Shared {
    /// Returns the wall-clock time since the epoch. It follows the clock of the engine, so it never goes back.
    fn now(&self) -> Duration {
        let now = self.engine.clock().now();
        let since_epoch: SignedDuration = now.duration_since(jiff::Timestamp::UNIX_EPOCH);
        since_epoch.unsigned_abs()
    }

    /// Logs and counts the outcome of an action.
    fn audit(&self, spec: &ActionSpec, outcome: &'static str, detail: &str) {
        let labels = [
            ("action", spec.name.clone()),
            ("outcome", outcome.to_owned()),
        ];
        self.counts.get_or_create(&labels).inc();
        let (probe, became) = (spec.source.to_string(), spec.becomes.as_str());
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
