//! Faults of a running container: liveness and readiness failures.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::{self, Liveness, Readiness, Startup};
use selfheal_probe::prediction::FaultMode;
use tokio::time::{Instant, sleep, sleep_until};

use crate::app::{Event, Health, Plan, Side};
use crate::coverage::Coverage;
use crate::host::{Events, ExitStatus, Host, RestartBehaviour, on_paused_time};
use crate::settings::{Setting, settings};

const RANDOM_RUNS: u64 = 5;

/// Time of a fault relative to the attempts that detect it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// Detected as early as possible.
    Earliest,
    /// Detected as late as possible.
    Latest,
    Random(u64),
}

impl Aim {
    pub(crate) fn all(random_runs: u64) -> impl Iterator<Item = Self> {
        [Self::Earliest, Self::Latest]
            .into_iter()
            .chain((0..random_runs).map(Self::Random))
    }
}

/// Starts a container, waits until its initial delays are over, and starts the workers of its startup and readiness probes.
/// `fraction` is the sub-second part of the readiness probe's ticks.
pub(crate) async fn run_until_ready(
    setting: &Setting,
    mode: FaultMode,
    fraction: Duration,
) -> (Arc<Host>, Events) {
    let (host, events) = Host::start(setting, mode);
    let start = Instant::now();
    host.start_container(Some(start));
    let longest_delay = Duration::from_secs(20);
    sleep_until(start + longest_delay).await;
    if setting.has_startup_probe() {
        host.add_worker(Startup);
        sleep(setting.period(Startup) * 3).await;
    }
    sleep(fraction).await;
    host.add_worker(Readiness);
    let readiness = setting.probes.readiness.expect("a readiness probe");
    sleep(readiness.period * readiness.success_threshold).await;
    assert!(host.is_ready(), "{setting:?}");
    (host, events)
}

/// Plans a fault at the next attempt of this kind.
pub(crate) fn plan_fault(host: &Host, kind: ProbeKind, side: Side) {
    host.app.plan(Plan {
        kind,
        attempt: 1,
        side,
        health: Health::Unhealthy,
    });
}

/// Makes the container unhealthy at a random time.
pub(crate) async fn random_fault(host: &Host, random: &mut StdRng) -> Instant {
    sleep(Duration::from_millis(random.random_range(1..60_000))).await;
    host.app.set_health(Health::Unhealthy);
    Instant::now()
}

async fn fault_to_restart(setting: &Setting, mode: FaultMode, aim: Aim) -> Duration {
    let (host, mut events) = run_until_ready(setting, mode, Duration::ZERO).await;
    host.add_worker(Liveness);
    sleep(setting.period(Liveness).mul_f64(1.5)).await;
    let since = Instant::now();
    let fault = match aim {
        Aim::Earliest => {
            plan_fault(&host, Liveness, Side::Before);
            events.wait_for(Event::HealthChanged, since).await
        }
        Aim::Latest => {
            plan_fault(&host, Liveness, Side::After);
            events.wait_for(Event::HealthChanged, since).await
        }
        Aim::Random(seed) => random_fault(&host, &mut StdRng::seed_from_u64(seed)).await,
    };
    events.wait_for(Event::Killed(Liveness), fault).await - fault
}

#[test]
fn fault_kills_the_container_in_the_predicted_range_and_at_both_ends() {
    for setting in settings() {
        for mode in FaultMode::ALL {
            let range = setting
                .probes
                .fault_to_restart(mode)
                .expect("a liveness probe");
            let mut coverage = Coverage::default();
            for aim in Aim::all(RANDOM_RUNS) {
                let observed = on_paused_time(fault_to_restart(&setting, mode, aim));
                coverage.observe(range, observed, &(mode, aim, &setting));
            }
            coverage.assert_both_ends_reached(&(mode, range, &setting));
        }
    }
}

async fn fault_to_unready(setting: &Setting, mode: FaultMode, aim: Aim) -> Duration {
    let (host, mut events) = run_until_ready(setting, mode, Duration::ZERO).await;
    let terminations = setting.probes.termination(Liveness);
    let set_termination = |termination| {
        host.set_restart_behaviour(RestartBehaviour {
            termination,
            start_time: Duration::ZERO,
            exit_status: ExitStatus::Unpublished,
            sync_after: None,
        });
    };
    let since = Instant::now();
    let fault = match aim {
        Aim::Earliest => {
            set_termination(terminations.earliest);
            host.add_worker(Liveness);
            sleep(setting.period(Liveness).mul_f64(1.5)).await;
            let since = Instant::now();
            let failures = setting
                .probes
                .fault_to_restart(mode)
                .expect("a liveness probe");
            let is_readiness_first = detection(setting, mode) <= failures.earliest;
            let kind = if is_readiness_first {
                Readiness
            } else {
                Liveness
            };
            plan_fault(&host, kind, Side::Before);
            events.wait_for(Event::HealthChanged, since).await
        }
        Aim::Latest => {
            // Attempts of both probes directly before the fault.
            set_termination(terminations.latest);
            let attempt = Event::Attempt(Readiness);
            events
                .wait_for(attempt, since + Duration::from_millis(1))
                .await;
            plan_fault(&host, Liveness, Side::After);
            host.add_worker(Liveness);
            events.wait_for(Event::HealthChanged, since).await
        }
        Aim::Random(seed) => {
            let mut random = StdRng::seed_from_u64(seed);
            set_termination(terminations.latest.mul_f64(random.random_range(0.0..1.0)));
            sleep(Duration::from_millis(random.random_range(1..20_000))).await;
            host.add_worker(Liveness);
            random_fault(&host, &mut random).await
        }
    };
    events.wait_for(Event::Ready(false), fault).await - fault
}

/// Returns the minimum time to a readiness failure.
fn detection(setting: &Setting, mode: FaultMode) -> Duration {
    let mut readiness = setting.probes.clone();
    readiness.liveness = None;
    readiness
        .fault_to_unready(mode)
        .expect("a readiness probe")
        .earliest
}

#[test]
fn fault_makes_the_container_unready_in_the_predicted_range_and_at_both_ends() {
    for setting in settings() {
        for mode in FaultMode::ALL {
            let range = setting.probes.fault_to_unready(mode).expect("two probes");
            let mut coverage = Coverage::default();
            for aim in Aim::all(RANDOM_RUNS) {
                let observed = on_paused_time(fault_to_unready(&setting, mode, aim));
                coverage.observe(range, observed, &(mode, aim, &setting));
            }
            coverage.assert_both_ends_reached(&(mode, range, &setting));
        }
    }
}
