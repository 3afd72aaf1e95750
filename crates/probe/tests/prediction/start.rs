//! Starts of the first instance: the time until it is ready.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::{self, Liveness, Readiness, Startup};
use selfheal_probe::prediction::FaultMode;

use crate::app::{Event, Health, Plan, Side};
use crate::coverage::Coverage;
use crate::host::on_paused_time;
use crate::phases::{EARLY, HEALTHY, MILLISECOND, Phases, StartTime, start};
use crate::settings::{Setting, settings};

/// Random runs of each setting, beside the aimed ones.
const RANDOM_RUNS: u64 = 5;

/// Observes the times until the application is healthy and until the container is ready.
async fn start_to_ready(
    setting: &Setting,
    mode: FaultMode,
    phases: &Phases,
    start_time: StartTime,
) -> (Duration, Duration) {
    let mut run = start(setting, mode, phases, start_time).await;
    let healthy = match start_time {
        StartTime::After(time) => time,
        StartTime::Planned(_) => {
            run.events.wait_for(Event::HealthChanged, run.start).await - run.start
        }
        StartTime::Never => panic!("such a container is never ready"),
    };
    let ready = run.events.wait_for(Event::Ready(true), run.start).await;
    (healthy, ready - run.start)
}

/// Phases at which a healthy container is ready as early and as late as possible.
fn aimed_starts(setting: &Setting) -> [Phases; 2] {
    let (delay, period) = (setting.initial_delay(Readiness), setting.period(Readiness));
    if setting.has_startup_probe() {
        // The readiness worker observes the container late or early.
        return [
            Phases::earliest(setting, Startup).tick(Readiness, period - MILLISECOND),
            Phases::latest(setting, Startup).tick(Readiness, MILLISECOND),
        ];
    }
    let (mut earliest, mut latest) = (
        Phases::earliest(setting, Readiness),
        Phases::latest(setting, Readiness),
    );
    if !delay.is_zero() {
        earliest = earliest.sync(delay - EARLY);
        latest = latest.sync(delay - MILLISECOND);
    }
    [earliest, latest]
}

/// Returns `true` if the ends of the range are exact: they do not depend on a coincidence of phases, or on the time between two
/// pod syncs.
fn is_exact(setting: &Setting) -> bool {
    let delays = [Readiness, Startup].map(|kind| {
        let probe = setting.probes.probe(kind);
        probe.map(|probe| probe.initial_delay)
    });
    let successes = setting
        .probes
        .readiness
        .map(|probe| probe.success_threshold);
    let is_first_tick = delays[1] == Some(Duration::ZERO) && successes > Some(1);
    !setting.has_startup_probe() || (delays[0] <= delays[1] && !is_first_tick)
}

/// Returns `true` if the prediction allows for the kubelet's random choice between a tick and a trigger, where the worker always
/// handles the tick first.
pub(crate) fn is_choice_random(setting: &Setting, mode: FaultMode) -> bool {
    let readiness = setting.probes.readiness.expect("a readiness probe");
    mode == FaultMode::Hanging
        && readiness.timeout >= readiness.period
        && readiness.success_threshold > 1
}

#[test]
fn healthy_container_is_ready_in_the_predicted_range_and_at_both_ends() {
    for setting in settings() {
        let range = setting
            .probes
            .start_to_ready(Duration::ZERO, FaultMode::Hanging);
        let range = range.expect("an immediate start is survived");
        let kinds: Vec<ProbeKind> = setting.kinds().collect();
        let mut runs = aimed_starts(&setting).to_vec();
        runs.extend((0..RANDOM_RUNS).map(|seed| Phases::random(&setting, &kinds, seed)));
        let mut coverage = Coverage::default();
        for phases in runs {
            let run = start_to_ready(&setting, FaultMode::Hanging, &phases, HEALTHY);
            let (_, observed) = on_paused_time(run);
            coverage.observe(range, observed, &(&phases, &setting));
        }
        if is_exact(&setting) {
            coverage.assert_both_ends_reached(&(range, &setting));
        }
    }
}

#[test]
fn starting_container_is_ready_in_the_predicted_range_and_at_both_ends() {
    for setting in settings() {
        for mode in FaultMode::ALL {
            let mut setting = setting.clone();
            // Its failures would end the start; another test covers that.
            setting.probes.liveness = None;
            let gate = if setting.has_startup_probe() {
                Startup
            } else {
                Readiness
            };
            let mut coverage = Coverage::default();
            for (phases, plan) in planned_starts(&setting, mode, gate) {
                let start_time = StartTime::Planned(plan);
                let run = start_to_ready(&setting, mode, &phases, start_time);
                let (healthy, observed) = on_paused_time(run);
                let range = setting.probes.start_to_ready(healthy, mode);
                if let Some(range) = range {
                    coverage.observe(range, observed, &(mode, plan, &phases, healthy, &setting));
                }
            }
            let is_startup_decided = setting.has_startup_probe()
                && setting
                    .probes
                    .startup
                    .is_some_and(|probe| probe.failure_threshold < 2);
            let is_random = is_choice_random(&setting, mode) && gate == Readiness;
            if is_exact(&setting) && !is_startup_decided && !is_random {
                coverage.assert_both_ends_reached(&(mode, &setting));
            }
        }
    }
}

/// Starts that end at an attempt of the probe that gates readiness. Enough of them to meet each phase between attempts that
/// exceed their period and the ticks.
fn planned_starts(setting: &Setting, mode: FaultMode, gate: ProbeKind) -> Vec<(Phases, Plan)> {
    let probe = setting.probes.probe(gate).expect("the gate");
    let is_triggered = gate == Readiness && probe.initial_delay.is_zero();
    let first = match (is_triggered, mode) {
        (false, _) => 1,
        // Two attempts start with the container.
        (true, FaultMode::Immediate) => 3,
        (true, FaultMode::Hanging) => 2,
    };
    let attempts = if gate == Startup {
        first..=probe.failure_threshold.saturating_sub(1)
    } else {
        first..=first + 13
    };
    let [earliest, _] = aimed_starts(setting);
    let mut latest = Phases::on_time(setting, gate);
    if gate == Startup {
        latest = latest.tick(Readiness, MILLISECOND);
    } else if !is_triggered {
        latest = latest.sync(probe.initial_delay - MILLISECOND);
    }
    attempts
        .flat_map(|attempt| {
            let plan = |side| Plan {
                kind: gate,
                attempt,
                side,
                health: Health::Healthy,
            };
            [
                (earliest.clone(), plan(Side::Before)),
                (latest.clone(), plan(Side::After)),
            ]
        })
        .collect()
}

#[test]
fn random_start_is_ready_in_the_predicted_range() {
    for setting in settings() {
        let kinds: Vec<ProbeKind> = setting.kinds().collect();
        for (seed, mode) in
            (100..100 + RANDOM_RUNS).flat_map(|seed| FaultMode::ALL.map(|mode| (seed, mode)))
        {
            let survived = setting.probes.survived_start(mode).expect("a limit").always;
            let mut random = StdRng::seed_from_u64(seed);
            let start_time = survived.mul_f64(random.random_range(0.0..1.0));
            let start_time =
                Duration::from_millis(u64::try_from(start_time.as_millis()).expect("short"));
            let range = setting
                .probes
                .start_to_ready(start_time, mode)
                .expect("it is survived");
            let phases = Phases::random(&setting, &kinds, seed);
            let run = start_to_ready(&setting, mode, &phases, StartTime::After(start_time));
            let (_, observed) = on_paused_time(run);
            Coverage::default().observe(range, observed, &(mode, start_time, &phases, &setting));
        }
    }
    // Liveness attempts are part of these runs.
    assert!(settings().all(|setting| setting.probes.probe(Liveness).is_some()));
}
