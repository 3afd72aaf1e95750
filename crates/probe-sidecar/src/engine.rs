//! Runs every probe of a configuration on its own schedule, with one attempt at a time each, and keeps the results.
//!
//! A configuration is applied completely or not at all. Probes that do not change keep their task and schedule; changed ones
//! keep results, counters and history.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use probe::{Clock, ProbeKind};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::attempt::{Attempt, AttemptRunner, BuildError};
use crate::spec::{Config, TargetSpec};

mod handle;
pub mod history;
mod phase;
mod restart;
mod run;
pub mod schedule_delay;
mod snapshot;
pub mod state;
pub mod totals;

pub use handle::ProbeHandle;
use history::Sample;
pub use phase::Phase;
use phase::StartupGate;
pub use schedule_delay::ScheduleDelay;
pub use snapshot::{Group, GroupStatus, Snapshot, Target};
use state::Transition;

/// Capacity of the broadcast channels. A receiver that lags further behind gets `Lagged` and must read the state again.
const EVENT_CHANNEL_CAPACITY: usize = 512;
/// Delay between the first attempts of successive probes, so that they do not all run at once.
const START_STAGGER: Duration = Duration::from_millis(1);

/// An event of the engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// An attempt finished.
    Result(Arc<ProbeHandle>, Sample),
    /// The status of a probe changed.
    Transition(Arc<ProbeHandle>, Arc<Transition>),
    /// A configuration was applied.
    Reloaded,
    /// The engine stopped.
    Stopped,
}

/// Numbers of probes that a reload kept, started and stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadSummary {
    /// Unchanged probes.
    pub kept: usize,
    /// New or changed probes.
    pub started: usize,
    /// Removed or changed probes.
    pub stopped: usize,
}

/// Handle of the engine. Clones share one engine.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

type Key = (Arc<str>, ProbeKind);

struct Shared {
    clock: Clock,
    runner: Arc<dyn AttemptRunner>,
    snapshot: RwLock<Arc<Snapshot>>,
    tasks: Mutex<HashMap<Key, AbortOnDropHandle<()>>>,
    /// All events. Results are sent only if there are receivers.
    results: broadcast::Sender<Event>,
    /// All events except results.
    changes: broadcast::Sender<Event>,
    schedule_delay: ScheduleDelay,
    stopped: CancellationToken,
    /// `true` if a group with the policy `failOpen` exists, which has to record that it was healthy.
    has_fail_open_groups: AtomicBool,
}

impl Engine {
    /// Creates an engine without probes.
    #[must_use]
    pub fn new(clock: Clock, runner: Arc<dyn AttemptRunner>) -> Self {
        Self(Arc::new(Shared {
            clock,
            runner,
            snapshot: RwLock::default(),
            tasks: Mutex::default(),
            results: broadcast::Sender::new(EVENT_CHANNEL_CAPACITY),
            changes: broadcast::Sender::new(EVENT_CHANNEL_CAPACITY),
            schedule_delay: ScheduleDelay::default(),
            stopped: CancellationToken::new(),
            has_fail_open_groups: AtomicBool::new(false),
        }))
    }

    /// Replaces the active configuration.
    ///
    /// # Errors
    /// Fails if a file that a probe names cannot be used. The previous configuration remains active.
    pub fn apply(&self, config: &Config) -> Result<ReloadSummary, BuildError> {
        let mut built = Vec::with_capacity(config.probe_count());
        for target in &config.targets {
            for (index, spec) in target.probes.iter().enumerate() {
                let attempt = Attempt::build(&spec.handler)
                    .map_err(|error| error.for_probe(&target.name, spec.kind))?;
                built.push((target, index, attempt));
            }
        }
        if self.0.stopped.is_cancelled() {
            return Ok(ReloadSummary::default());
        }
        let applied = self.replace(config, built);
        let _ = self.0.changes.send(Event::Reloaded);
        Ok(applied)
    }

    fn replace(&self, config: &Config, built: Vec<(&TargetSpec, usize, Attempt)>) -> ReloadSummary {
        let shared = &self.0;
        let old = self.snapshot();
        let now = self.now();
        let mut tasks = shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *tasks);
        let mut snapshot = Snapshot::default();
        let mut fresh: Vec<Arc<ProbeHandle>> = Vec::new();
        let mut applied = ReloadSummary::default();
        for (spec, index, attempt) in built {
            if snapshot
                .targets
                .last()
                .is_none_or(|last| *last.name != *spec.name)
            {
                let target = self.target(spec, old.target(&spec.name));
                snapshot
                    .names
                    .insert(target.name.clone(), snapshot.targets.len());
                snapshot.targets.push(target);
            }
            let Some(target) = snapshot.targets.last_mut() else {
                continue;
            };
            let probe = &spec.probes[index];
            let known = old.target(&spec.name).and_then(|old| old.probe(probe.kind));
            let key = (target.name.clone(), probe.kind);
            match known
                .filter(|known| known.spec == *probe)
                .zip(before.remove(&key))
            {
                Some((known, task)) => {
                    known.set_attempt(attempt);
                    tasks.insert(key, task);
                    target.probes.push(known.clone());
                    applied.kept += 1;
                }
                None => {
                    applied.stopped += usize::from(known.is_some());
                    let entry = match known {
                        Some(known) => known.successor(probe.clone(), attempt),
                        None => {
                            let (name, gate) = (target.name.clone(), target.gate.clone());
                            ProbeHandle::new(name, probe.clone(), gate, attempt, now)
                        }
                    };
                    let entry = Arc::new(entry);
                    target.probes.push(entry.clone());
                    fresh.push(entry);
                }
            }
        }
        applied.started = fresh.len();
        applied.stopped += before.len();
        snapshot.groups = groups(config, &old);
        let has_fail_open_groups = config
            .groups
            .iter()
            .any(|group| group.policy == crate::spec::Policy::FailOpen);
        shared
            .has_fail_open_groups
            .store(has_fail_open_groups, Ordering::Relaxed);
        *shared
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        for (at, entry) in (0..).zip(fresh) {
            let spread = entry.spec.period.min(START_STAGGER * count);
            let first = spread / count * at;
            let key = (entry.target.clone(), entry.spec.kind);
            let task = tokio::spawn(run::run(Arc::clone(shared), entry, first));
            tasks.insert(key, AbortOnDropHandle::new(task));
        }
        applied
    }

    /// Creates a target. It keeps the phase of the previous one unless a startup probe is added or removed.
    fn target(&self, spec: &TargetSpec, old: Option<&Target>) -> Target {
        let startup = |kind: &ProbeKind| *kind == ProbeKind::Startup;
        let wanted = spec.probes.iter().find(|probe| startup(&probe.kind));
        let known = old.and_then(|old| old.probe(ProbeKind::Startup));
        let gate = old.map(|old| old.gate.clone());
        let first = if wanted.is_none() {
            Phase::Started
        } else {
            Phase::Starting
        };
        let gate = gate.unwrap_or_else(|| Arc::new(StartupGate::new(first)));
        if wanted.is_none() || known.is_none() {
            gate.set(first);
        }
        Target {
            name: old.map_or_else(|| spec.name.as_str().into(), |old| old.name.clone()),
            dependency: spec.dependency,
            gate,
            probes: Vec::with_capacity(spec.probes.len()),
        }
    }

    /// Returns the active targets and groups.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }

    /// Returns the time on the clock of the engine, which results carry.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.clock.elapsed()
    }

    /// Clock of the engine.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Subscribes to all events. A slow receiver gets `Lagged`.
    #[must_use]
    pub fn results(&self) -> broadcast::Receiver<Event> {
        self.0.results.subscribe()
    }

    /// Subscribes to all events except results.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Event> {
        self.0.changes.subscribe()
    }

    /// Histogram of the delays of attempts.
    #[must_use]
    pub fn schedule_delay(&self) -> &ScheduleDelay {
        &self.0.schedule_delay
    }

    /// Stops all probes and the processes that their commands started. Results remain readable.
    pub fn stop(&self) {
        self.0.stopped.cancel();
        let tasks =
            std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks);
        let _ = self.0.changes.send(Event::Stopped);
        let _ = self.0.results.send(Event::Stopped);
    }

    /// Returns `true` after [`Engine::stop`].
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.is_cancelled()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let probes = self.snapshot().probes().count();
        f.debug_struct("Engine")
            .field("probes", &probes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
        snapshot.clone()
    }
}

/// Creates the groups of a configuration. Unchanged groups keep their state.
fn groups(config: &Config, old: &Snapshot) -> Vec<Group> {
    let group = |spec: &crate::spec::GroupSpec| {
        let known = old.group(&spec.name).filter(|known| known.spec == *spec);
        Group {
            spec: spec.clone(),
            was_healthy: known
                .map(|known| known.was_healthy.clone())
                .unwrap_or_default(),
        }
    };
    config.groups.iter().map(group).collect()
}

#[cfg(test)]
mod tests;
