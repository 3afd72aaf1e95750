//! Starts of a container with given phases of its workers.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::{self, Readiness};
use selfheal_probe::prediction::FaultMode;
use tokio::time::{Instant, sleep_until};

use crate::app::Plan;
use crate::host::{Events, Host};
use crate::settings::Setting;

pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);

/// Sub-second part of a start that ends initial delays one second early.
pub(crate) const EARLY: Duration = Duration::from_millis(999);

/// Phases of one start. Times are since the start of the container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phases {
    /// Sub-second part of the start time.
    pub(crate) fraction: Duration,
    /// A tick of each worker.
    pub(crate) ticks: Vec<(ProbeKind, Duration)>,
    /// Pod syncs with other causes.
    pub(crate) syncs: Vec<Duration>,
}

/// Time from which the application is healthy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StartTime {
    /// Time since the start of the container.
    After(Duration),
    /// At an attempt.
    Planned(Plan),
    Never,
}

/// A running scenario, and the start of its container.
pub(crate) struct Run {
    pub(crate) events: Events,
    pub(crate) start: Instant,
}

impl Phases {
    /// Returns random phases of workers for `kinds`, and a sync before the first readiness attempt.
    pub(crate) fn random(setting: &Setting, kinds: &[ProbeKind], seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(setting.seed << 16 | seed);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).expect("short");
        let ticks = kinds.iter().map(|kind| {
            let period = milliseconds(setting.period(*kind));
            (*kind, Duration::from_millis(random.random_range(1..period)))
        });
        let ticks = ticks.collect();
        let fraction = Duration::from_millis(random.random_range(0..1000));
        let delay = milliseconds(setting.initial_delay(Readiness));
        let syncs = (delay > 1000)
            .then(|| Duration::from_millis(random.random_range(1..delay - 1000)))
            .into_iter()
            .collect();
        Self {
            fraction,
            ticks,
            syncs,
        }
    }

    /// Returns the earliest tick of this kind after the end of its initial delay: directly at its end, at the earliest.
    pub(crate) fn earliest(setting: &Setting, kind: ProbeKind) -> Self {
        let delay = setting.initial_delay(kind);
        let end = if delay.is_zero() {
            MILLISECOND
        } else {
            delay - EARLY
        };
        Self {
            fraction: EARLY,
            ticks: vec![(kind, tick_at(end, setting.period(kind)))],
            syncs: Vec::new(),
        }
    }

    /// Returns a tick of this kind just before the end of its initial delay, so that the next one is the first attempt.
    pub(crate) fn latest(setting: &Setting, kind: ProbeKind) -> Self {
        let period = setting.period(kind);
        let missed = setting.initial_delay(kind) + period - MILLISECOND;
        Self {
            fraction: Duration::ZERO,
            ticks: vec![(kind, tick_at(missed, period))],
            syncs: Vec::new(),
        }
    }

    /// Returns a tick of this kind at the end of its initial delay, which is not shortened.
    pub(crate) fn on_time(setting: &Setting, kind: ProbeKind) -> Self {
        let period = setting.period(kind);
        let tick = tick_at(setting.initial_delay(kind) + period - MILLISECOND, period);
        let phases = Self {
            fraction: 2 * MILLISECOND,
            ..Self::default()
        };
        phases.tick(kind, tick)
    }

    pub(crate) fn tick(mut self, kind: ProbeKind, tick: Duration) -> Self {
        self.ticks.push((kind, tick));
        self
    }

    pub(crate) fn sync(mut self, at: Duration) -> Self {
        self.syncs.push(at);
        self
    }
}

/// Returns the first tick of a worker that has a tick at `time`. A tick at the start itself is moved behind it.
pub(crate) fn tick_at(time: Duration, period: Duration) -> Duration {
    let nanos = time.as_nanos() % period.as_nanos();
    Duration::from_nanos(u64::try_from(nanos).expect("short")).max(MILLISECOND)
}

/// Starts the workers such that they have the ticks of `phases`, then the container.
pub(crate) async fn start(
    setting: &Setting,
    mode: FaultMode,
    phases: &Phases,
    start_time: StartTime,
) -> Run {
    let (host, events) = Host::start(setting, mode);
    let start = Instant::now() + Duration::from_secs(30) + phases.fraction;
    let mut workers: Vec<(Instant, ProbeKind)> = phases
        .ticks
        .iter()
        .map(|(kind, tick)| (start + *tick - setting.period(*kind), *kind))
        .collect();
    workers.sort();
    for (first_tick, kind) in workers {
        sleep_until(first_tick).await;
        host.add_worker(kind);
    }
    sleep_until(start).await;
    match start_time {
        StartTime::After(time) => host.start_container(Some(start + time)),
        StartTime::Never => host.start_container(None),
        StartTime::Planned(plan) => {
            host.app.plan(plan);
            host.start_container(None);
        }
    }
    for sync in &phases.syncs {
        let (host, at) = (host.clone(), start + *sync);
        tokio::spawn(async move {
            sleep_until(at).await;
            host.publish();
        });
    }
    Run { events, start }
}

/// Healthy from the start on.
pub(crate) const HEALTHY: StartTime = StartTime::After(Duration::ZERO);
