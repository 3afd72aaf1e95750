//! Faults that a restart ends: the time until the container serves again.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::{Liveness, Readiness};
use selfheal_probe::prediction::FaultMode;
use tokio::time::{Instant, sleep};

use crate::app::{Event, Side};
use crate::coverage::Coverage;
use crate::faults::{Aim, plan_fault, random_fault, run_until_ready};
use crate::host::{Events, ExitStatus, Host, RestartBehaviour, on_paused_time};
use crate::phases::{EARLY, MILLISECOND};
use crate::settings::{Setting, settings};

const RANDOM_RUNS: u64 = 5;

/// Observes the time from a fault until the restarted container is ready.
async fn fault_to_serving(
    setting: &Setting,
    mode: FaultMode,
    start_time: Duration,
    aim: Aim,
) -> Duration {
    // The start of the new instance has the sub-second part that shortens or keeps its initial delay.
    let fraction = match aim {
        Aim::Earliest => EARLY - MILLISECOND,
        Aim::Latest | Aim::Random(_) => Duration::from_millis(500),
    };
    let (host, mut events) = run_until_ready(setting, mode, fraction).await;
    let termination = setting.probes.termination(Liveness);
    let mut behaviour = RestartBehaviour {
        termination: termination.latest,
        start_time,
        exit_status: ExitStatus::Unpublished,
        sync_after: None,
    };
    let since = Instant::now() + MILLISECOND;
    let delay = setting.initial_delay(Readiness);
    let fault = match aim {
        Aim::Earliest => {
            behaviour.termination = termination.earliest;
            behaviour.sync_after = delay.checked_sub(EARLY);
            host.set_restart_behaviour(behaviour);
            events.wait_for(Event::Attempt(Readiness), since).await;
            sleep(MILLISECOND).await;
            fault_at_first_liveness_attempt(&host, &mut events, Side::Before).await
        }
        Aim::Latest => {
            if delay.is_zero() {
                // Otherwise a readiness tick can coincide with the restart.
                behaviour.termination -= 2 * MILLISECOND;
            }
            behaviour.sync_after = delay.checked_sub(MILLISECOND);
            host.set_restart_behaviour(behaviour);
            events.wait_for(Event::Attempt(Readiness), since).await;
            sleep(setting.period(Readiness) - Duration::from_millis(500)).await;
            fault_at_first_liveness_attempt(&host, &mut events, Side::After).await
        }
        Aim::Random(seed) => {
            let mut random = StdRng::seed_from_u64(setting.seed << 16 | seed);
            behaviour.termination = termination.latest.mul_f64(random.random_range(0.0..1.0));
            if random.random_bool(0.5) {
                behaviour.exit_status = ExitStatus::Published;
            }
            host.set_restart_behaviour(behaviour);
            sleep(Duration::from_millis(random.random_range(1..20_000))).await;
            host.add_worker(Liveness);
            random_fault(&host, &mut random).await
        }
    };
    let restarted = events.wait_for(Event::Restarted, fault).await;
    let ready = events.wait_for(Event::Ready(true), restarted).await;
    ready.max(restarted + start_time) - fault
}

async fn fault_at_first_liveness_attempt(
    host: &Arc<Host>,
    events: &mut Events,
    side: Side,
) -> Instant {
    let since = Instant::now();
    plan_fault(host, Liveness, side);
    host.add_worker(Liveness);
    events.wait_for(Event::HealthChanged, since).await
}

#[test]
fn restarted_container_serves_in_the_predicted_range_and_at_both_ends() {
    let mut predictions = 0;
    for setting in settings() {
        for mode in FaultMode::ALL {
            let mut coverage = Coverage::default();
            for aim in Aim::all(RANDOM_RUNS) {
                let start_time = match aim {
                    Aim::Random(seed) if seed > 2 => random_start_time(&setting, mode, seed),
                    _ => Duration::ZERO,
                };
                let Some(range) = setting.probes.fault_to_serving(start_time, mode) else {
                    continue;
                };
                predictions += 1;
                let run = fault_to_serving(&setting, mode, start_time, aim);
                let observed = on_paused_time(run);
                coverage.observe(range, observed, &(mode, aim, start_time, &setting));
            }
            if is_exact(&setting, mode) {
                coverage.assert_both_ends_reached(&(mode, &setting));
            }
        }
    }
    assert!(predictions > 2000, "{predictions} predictions");
}

/// Returns `true` if the ends of the range do not depend on the coincidence of several phases.
fn is_exact(setting: &Setting, mode: FaultMode) -> bool {
    let readiness = setting.probes.readiness.expect("a readiness probe");
    let is_overrun = mode == FaultMode::Hanging && readiness.timeout > readiness.period;
    !setting.has_startup_probe() && !is_overrun
}

fn random_start_time(setting: &Setting, mode: FaultMode, seed: u64) -> Duration {
    let survived = setting.probes.survived_start(mode).expect("a limit").always;
    let fraction = StdRng::seed_from_u64(seed).random_range(0.0..1.0);
    let time = survived.mul_f64(fraction).as_millis();
    Duration::from_millis(u64::try_from(time).expect("short"))
}
