//! First attempts after a restart of the kubelet.

use std::time::Duration;

use selfheal_probe::prediction::FaultMode;
use selfheal_probe::{ProbeKind, StartDelay};
use tokio::time::Instant;

use crate::app::Event;
use crate::host::{Host, on_paused_time};
use crate::settings::{Setting, settings};

/// Age of the container at the restart.
const AGE: Duration = Duration::from_secs(3600);

async fn first_attempt(setting: &Setting, kind: ProbeKind) -> Duration {
    let delay = StartDelay::Seeded(setting.seed);
    let (host, mut events) = Host::start_with_delay(setting, FaultMode::Immediate, delay);
    let start = Instant::now();
    host.start_container_before(AGE);
    host.add_worker(kind);
    events.wait_for(Event::Attempt(kind), start).await - start
}

#[test]
fn attempts_after_a_kubelet_restart_are_spread_over_the_predicted_period() {
    let mut fractions = Vec::new();
    for setting in settings() {
        for kind in [ProbeKind::Liveness, ProbeKind::Readiness] {
            let range = setting.probes.first_attempt_after_kubelet_restart(kind);
            let range = range.expect("such a probe");
            let observed = on_paused_time(first_attempt(&setting, kind));
            assert!(
                range.contains(observed),
                "{observed:?} {range:?} {kind:?} {setting:?}"
            );
            fractions.push(observed.div_duration_f64(range.latest));
        }
    }
    assert!(fractions.iter().any(|fraction| *fraction < 0.02));
    assert!(fractions.iter().any(|fraction| *fraction > 0.98));
}
