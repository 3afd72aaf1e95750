//! Runs every probe of a configuration on its own clock, one attempt at a time each, and keeps what they find.
//!
//! A configuration is applied as a whole or not at all. Probes that are the same in the new one go on as if nothing had
//! happened: their task, their counters and their history stay.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use probe::{Clock, ProbeKind};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::attempt::{Attempt, Attempts, BuildError};
use crate::spec::{Config, TargetSpec};

mod entry;
pub mod history;
pub mod lateness;
mod phase;
mod restart;
mod run;
mod set;
pub mod state;
pub mod totals;

pub use entry::Entry;
use history::Sample;
pub use lateness::Lateness;
use phase::Gate;
pub use phase::Phase;
pub use set::{Group, Set, Standing, Target};
use state::Transition;

/// How many results a reader may be behind before it has to look anew.
const BEHIND: usize = 512;
/// First attempts are this far apart, so that many probes do not fall together.
const APART: Duration = Duration::from_millis(1);

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// An attempt ended.
    Result(Arc<Entry>, Sample),
    /// A probe's status changed.
    Transition(Arc<Entry>, Arc<Transition>),
    /// Another configuration runs.
    Reloaded,
    /// Probes have stopped for good.
    Stopped,
}

/// What a reload did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Probes that went on.
    pub kept: usize,
    /// Probes that are new or changed.
    pub started: usize,
    /// Probes that are gone or changed.
    pub stopped: usize,
}

/// The engine. Clones are the same one.
#[derive(Clone)]
pub struct Engine(Arc<Shared>);

type Key = (Arc<str>, ProbeKind);

struct Shared {
    clock: Clock,
    attempts: Arc<dyn Attempts>,
    set: RwLock<Arc<Set>>,
    tasks: Mutex<HashMap<Key, AbortOnDropHandle<()>>>,
    /// Every result; sent only where somebody listens.
    results: broadcast::Sender<Event>,
    /// Everything but results.
    changes: broadcast::Sender<Event>,
    lateness: Lateness,
    stopped: CancellationToken,
    /// Whether a group has to be looked at with every change, because it remembers.
    remembers: AtomicBool,
}

impl Engine {
    /// An engine that runs nothing yet.
    #[must_use]
    pub fn new(clock: Clock, attempts: Arc<dyn Attempts>) -> Self {
        Self(Arc::new(Shared {
            clock,
            attempts,
            set: RwLock::default(),
            tasks: Mutex::default(),
            results: broadcast::Sender::new(BEHIND),
            changes: broadcast::Sender::new(BEHIND),
            lateness: Lateness::default(),
            stopped: CancellationToken::new(),
            remembers: AtomicBool::new(false),
        }))
    }

    /// Runs `config` from now on, and nothing else.
    ///
    /// # Errors
    /// When a file that a probe names cannot be used. Then everything stays as it is.
    pub fn apply(&self, config: &Config) -> Result<Applied, BuildError> {
        let mut built = Vec::with_capacity(config.probes());
        for target in &config.targets {
            for (index, spec) in target.probes.iter().enumerate() {
                let attempt = Attempt::build(&spec.handler)
                    .map_err(|error| error.of(&target.name, spec.kind))?;
                built.push((target, index, attempt));
            }
        }
        if self.0.stopped.is_cancelled() {
            return Ok(Applied::default());
        }
        let applied = self.replace(config, built);
        let _ = self.0.changes.send(Event::Reloaded);
        Ok(applied)
    }

    fn replace(&self, config: &Config, built: Vec<(&TargetSpec, usize, Attempt)>) -> Applied {
        let shared = &self.0;
        let old = self.set();
        let now = self.now();
        let mut tasks = shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *tasks);
        let mut set = Set::default();
        let mut fresh: Vec<Arc<Entry>> = Vec::new();
        let mut applied = Applied::default();
        for (spec, index, attempt) in built {
            if set
                .targets
                .last()
                .is_none_or(|last| *last.name != *spec.name)
            {
                let target = self.target(spec, old.target(&spec.name));
                set.names.insert(target.name.clone(), set.targets.len());
                set.targets.push(target);
            }
            let Some(target) = set.targets.last_mut() else {
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
                    let (name, gate) = (target.name.clone(), target.gate.clone());
                    let entry = Entry::new(name, probe.clone(), gate, attempt, now);
                    let entry = Arc::new(entry);
                    target.probes.push(entry.clone());
                    fresh.push(entry);
                }
            }
        }
        applied.started = fresh.len();
        applied.stopped += before.len();
        set.groups = groups(config, &old);
        let remembers = config
            .groups
            .iter()
            .any(|group| group.policy == crate::spec::Policy::FailOpen);
        shared.remembers.store(remembers, Ordering::Relaxed);
        *shared.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
        let count = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        for (at, entry) in (0..).zip(fresh) {
            let spread = entry.spec.period.min(APART * count);
            let first = spread / count * at;
            let key = (entry.target.clone(), entry.spec.kind);
            let task = tokio::spawn(run::run(Arc::clone(shared), entry, first));
            tasks.insert(key, AbortOnDropHandle::new(task));
        }
        applied
    }

    /// A target whose gate stays as it was, unless its startup is another one now.
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
        let gate = gate.unwrap_or_else(|| Arc::new(Gate::new(first)));
        if wanted.is_none() || wanted != known.map(|known| &known.spec) {
            gate.set(first);
        }
        Target {
            name: old.map_or_else(|| spec.name.as_str().into(), |old| old.name.clone()),
            dependency: spec.dependency,
            gate,
            probes: Vec::with_capacity(spec.probes.len()),
        }
    }

    /// What runs now.
    #[must_use]
    pub fn set(&self) -> Arc<Set> {
        self.0.set()
    }

    /// The engine's own time, which results are stamped with.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.clock.elapsed()
    }

    /// The engine's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Every result from now on, and everything else that happens. A slow reader is told that it missed some.
    #[must_use]
    pub fn results(&self) -> broadcast::Receiver<Event> {
        self.0.results.subscribe()
    }

    /// Everything that happens from now on, but single results.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Event> {
        self.0.changes.subscribe()
    }

    /// How late attempts have begun.
    #[must_use]
    pub fn lateness(&self) -> &Lateness {
        &self.0.lateness
    }

    /// Stops every probe for good, and what their commands left running. What is known stays.
    pub fn stop(&self) {
        self.0.stopped.cancel();
        let tasks =
            std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        drop(tasks);
        let _ = self.0.changes.send(Event::Stopped);
        let _ = self.0.results.send(Event::Stopped);
    }

    /// Whether probes have stopped for good.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.is_cancelled()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let probes = self.set().probes().count();
        f.debug_struct("Engine")
            .field("probes", &probes)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn set(&self) -> Arc<Set> {
        let set = self.set.read().unwrap_or_else(PoisonError::into_inner);
        set.clone()
    }
}

/// The groups of a configuration; those that are the same remember.
fn groups(config: &Config, old: &Set) -> Vec<Group> {
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
