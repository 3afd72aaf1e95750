//! First attempts on the first instance.

use std::time::Duration;

use selfheal_probe::ProbeKind::{self, Readiness, Startup};
use selfheal_probe::prediction::{AttemptReference, FaultMode};

use crate::app::{Event, Health, Plan, Side};
use crate::coverage::Coverage;
use crate::host::on_paused_time;
use crate::phases::{EARLY, HEALTHY, MILLISECOND, Phases, StartTime, start, tick_at};
use crate::settings::{Setting, settings};

/// Random runs of each setting, beside the aimed ones.
const RANDOM_RUNS: u64 = 5;

/// Observes the first attempt after the start of the container, or after the success of its startup probe.
async fn first_attempt(
    setting: &Setting,
    kind: ProbeKind,
    phases: &Phases,
    start_time: StartTime,
) -> Duration {
    let mut run = start(setting, FaultMode::Hanging, phases, start_time).await;
    let attempt = Event::Attempt(kind);
    let first = setting.probes.first_attempt(kind).expect("such a probe");
    if first.after == AttemptReference::ContainerStart {
        return run.events.wait_for(attempt, run.start).await - run.start;
    }
    let mut startup_success = run.start;
    loop {
        let startup = Event::Attempt(Startup);
        let events = [startup, attempt];
        let (at, event) = run.events.wait_for_any(&events, run.start).await;
        if event == attempt {
            return at - startup_success;
        }
        startup_success = at;
    }
}

fn aimed_first_attempts(setting: &Setting, kind: ProbeKind) -> Vec<(Phases, StartTime)> {
    let delay = setting.initial_delay(kind);
    if kind == Startup || !setting.has_startup_probe() {
        let (mut earliest, mut latest) = (
            Phases::earliest(setting, kind),
            Phases::latest(setting, kind),
        );
        if kind == Readiness && !delay.is_zero() {
            // The published start has restarted the period; another sync restarts it again.
            earliest = earliest.sync(delay - EARLY);
            latest = latest.sync(delay - MILLISECOND);
        }
        return vec![(earliest, HEALTHY), (latest, HEALTHY)];
    }
    vec![
        late_startup(setting, kind),
        (early_startup(setting, kind), HEALTHY),
    ]
}

/// The startup probe succeeds late, so that the initial delay is over.
fn late_startup(setting: &Setting, kind: ProbeKind) -> (Phases, StartTime) {
    let startup = setting.probes.startup.expect("a startup probe");
    let (delay, spacing) = (
        setting.initial_delay(kind),
        startup.period.max(startup.timeout),
    );
    let first = startup.initial_delay + startup.period - MILLISECOND;
    let mut success = first;
    let mut attempt = 1;
    while success < delay && attempt < startup.failure_threshold {
        success += spacing;
        attempt += 1;
    }
    let mut phases = Phases::latest(setting, Startup);
    if startup.initial_delay.is_zero() {
        phases.fraction = EARLY;
    }
    let delay_end = delay.saturating_sub(phases.fraction);
    let target = (success + MILLISECOND).max(delay_end);
    let phases = phases
        .tick(kind, tick_at(target, setting.period(kind)))
        .sync(target);
    let plan = Plan {
        kind: Startup,
        attempt,
        side: Side::Before,
        health: Health::Healthy,
    };
    (phases, StartTime::Planned(plan))
}

/// The startup probe succeeds when its initial delay ends, and the other probe has just missed its first attempt.
fn early_startup(setting: &Setting, kind: ProbeKind) -> Phases {
    let fraction = Duration::from_millis(3);
    let startup_delay = setting.initial_delay(Startup);
    let success = startup_delay.saturating_sub(fraction).max(MILLISECOND) + MILLISECOND;
    let delay_end = setting.initial_delay(kind).saturating_sub(fraction);
    let missed = delay_end.max(success) - MILLISECOND;
    Phases {
        fraction,
        ticks: Vec::new(),
        syncs: Vec::new(),
    }
    .tick(Startup, tick_at(success, setting.period(Startup)))
    .tick(kind, tick_at(missed, setting.period(kind)))
    .sync(missed)
}

#[test]
fn first_attempts_stay_in_the_predicted_range_and_reach_both_ends() {
    for setting in settings() {
        let kinds: Vec<ProbeKind> = setting.kinds().collect();
        for kind in &kinds {
            let range = setting.probes.first_attempt(*kind).expect("such a probe");
            let mut runs = aimed_first_attempts(&setting, *kind);
            runs.extend(
                (0..RANDOM_RUNS).map(|seed| (Phases::random(&setting, &kinds, seed), HEALTHY)),
            );
            let mut coverage = Coverage::default();
            for (phases, start_time) in runs {
                let observed = on_paused_time(first_attempt(&setting, *kind, &phases, start_time));
                let context = (kind, &phases, start_time, &setting);
                coverage.observe(range.delay, observed, &context);
            }
            coverage.assert_both_ends_reached(&(kind, range, &setting));
        }
    }
}
