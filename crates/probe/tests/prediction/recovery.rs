//! The end of a fault, without a restart.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use selfheal_probe::ProbeKind::Readiness;
use selfheal_probe::prediction::FaultMode;
use tokio::time::{Instant, sleep};

use crate::app::{Event, Health, Plan, Side};
use crate::coverage::Coverage;
use crate::faults::run_until_ready;
use crate::host::on_paused_time;
use crate::phases::MILLISECOND;
use crate::settings::{Setting, settings};
use crate::start::is_choice_random;

const RANDOM_RUNS: u64 = 5;

/// End of a fault.
#[derive(Clone, Copy, Debug)]
enum End {
    /// At this attempt after the failure threshold.
    Attempt(u32, Side),
    /// At a random time after the failure.
    Random(u64),
}

async fn recovery_to_ready(setting: &Setting, mode: FaultMode, end: End) -> Duration {
    let (host, mut events) = run_until_ready(setting, mode, Duration::ZERO).await;
    let readiness = setting.probes.readiness.expect("a readiness probe");
    sleep(readiness.period.mul_f64(1.5)).await;
    let fault = Instant::now();
    host.app.set_health(Health::Unhealthy);
    let recovery = match end {
        End::Attempt(attempt, side) => {
            host.app.plan(Plan {
                kind: Readiness,
                attempt: readiness.failure_threshold + attempt,
                side,
                health: Health::Healthy,
            });
            events.wait_for(Event::HealthChanged, fault).await
        }
        End::Random(seed) => {
            let failed = events.wait_for(Event::Ready(false), fault).await;
            let mut random = StdRng::seed_from_u64(seed);
            sleep(Duration::from_millis(random.random_range(1..60_000))).await;
            host.app.set_health(Health::Healthy);
            assert!(Instant::now() > failed);
            Instant::now()
        }
    };
    sleep(MILLISECOND).await;
    if host.is_ready() {
        // Failure and success at the same time are published as one status.
        return Duration::ZERO;
    }
    events.wait_for(Event::Ready(true), recovery).await - recovery
}

#[test]
fn recovered_container_is_ready_in_the_predicted_range_and_at_both_ends() {
    for mut setting in settings() {
        // Their failures would restart the container; another test covers that.
        (setting.probes.liveness, setting.probes.startup) = (None, None);
        for mode in FaultMode::ALL {
            let range = setting
                .probes
                .recovery_to_ready(mode)
                .expect("a readiness probe");
            let attempts = (1..=3).flat_map(|attempt| {
                [Side::Before, Side::After].map(|side| End::Attempt(attempt, side))
            });
            let mut coverage = Coverage::default();
            for end in attempts.chain((0..RANDOM_RUNS).map(End::Random)) {
                let observed = on_paused_time(recovery_to_ready(&setting, mode, end));
                coverage.observe(range, observed, &(mode, end, &setting));
            }
            if !is_choice_random(&setting, mode) {
                coverage.assert_both_ends_reached(&(mode, range, &setting));
            }
        }
    }
}
