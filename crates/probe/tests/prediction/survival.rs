//! Starts that are survived, and containers that never become healthy.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::{self, Liveness, Startup};
use selfheal_probe::prediction::FaultMode;

use crate::app::Event;
use crate::coverage::Coverage;
use crate::host::on_paused_time;
use crate::phases::{MILLISECOND, Phases, StartTime, start};
use crate::settings::{Setting, settings};

const RANDOM_RUNS: u64 = 5;

/// The probe that limits the duration of a start.
fn gate(setting: &Setting) -> ProbeKind {
    if setting.has_startup_probe() {
        Startup
    } else {
        Liveness
    }
}

/// Returns the time until the container is killed, or `None` if it survives its start.
async fn killed_after(
    setting: &Setting,
    mode: FaultMode,
    phases: &Phases,
    start_time: StartTime,
) -> Option<Duration> {
    let limit = setting
        .probes
        .failed_start_to_restart(mode)
        .expect("a limit");
    let mut run = start(setting, mode, phases, start_time).await;
    let killed = run.events.wait_for(Event::Killed(gate(setting)), run.start);
    let killed = tokio::time::timeout(limit.latest + Duration::from_secs(60), killed).await;
    killed.ok().map(|at| at - run.start)
}

fn is_killed(setting: &Setting, mode: FaultMode, phases: &Phases, start_time: Duration) -> bool {
    let start_time = StartTime::After(start_time);
    on_paused_time(killed_after(setting, mode, phases, start_time)).is_some()
}

#[test]
fn start_is_survived_up_to_the_predicted_duration() {
    for setting in settings() {
        let kinds: Vec<ProbeKind> = setting.kinds().collect();
        let (earliest, latest) = (
            Phases::earliest(&setting, gate(&setting)),
            Phases::latest(&setting, gate(&setting)),
        );
        for mode in FaultMode::ALL {
            let survived = setting.probes.survived_start(mode).expect("a limit");
            let check = |phases: &Phases, start_time: Duration, expected: bool| {
                let found = is_killed(&setting, mode, phases, start_time);
                assert_eq!(
                    found, expected,
                    "{mode:?} {phases:?} {start_time:?} {setting:?}"
                );
            };
            check(&earliest, survived.always, false);
            check(&earliest, survived.always + 2 * MILLISECOND, true);
            check(&latest, survived.at_most - 2 * MILLISECOND, false);
            check(&latest, survived.at_most + MILLISECOND, true);
            for seed in 0..RANDOM_RUNS {
                let phases = Phases::random(&setting, &kinds, seed);
                let fraction = StdRng::seed_from_u64(seed).random_range(0.0..1.0);
                check(&phases, survived.always.mul_f64(fraction), false);
                check(&phases, survived.at_most + MILLISECOND, true);
            }
        }
    }
}

#[test]
fn container_that_never_starts_is_killed_in_the_predicted_range_and_at_both_ends() {
    for setting in settings() {
        let kinds: Vec<ProbeKind> = setting.kinds().collect();
        for mode in FaultMode::ALL {
            let range = setting
                .probes
                .failed_start_to_restart(mode)
                .expect("a limit");
            let mut runs = vec![
                Phases::earliest(&setting, gate(&setting)),
                Phases::latest(&setting, gate(&setting)),
            ];
            runs.extend((0..RANDOM_RUNS).map(|seed| Phases::random(&setting, &kinds, seed)));
            let mut coverage = Coverage::default();
            for phases in runs {
                let run = killed_after(&setting, mode, &phases, StartTime::Never);
                let observed = on_paused_time(run).expect("it is killed");
                coverage.observe(range, observed, &(mode, &phases, &setting));
            }
            coverage.assert_both_ends_reached(&(mode, range, &setting));
        }
    }
}
