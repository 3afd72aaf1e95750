use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::*;
use crate::backoff::BackoffLimits;
use crate::results::ProbeKind::{Liveness, Readiness, Startup};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn range(earliest: u64, latest: u64) -> TimeRange {
    TimeRange::new(secs(earliest), secs(latest))
}

/// Reads the probes of a container with these fields.
fn probes(fields: &Value) -> ContainerProbes {
    let mut container = json!({"name": "c"});
    let fields = fields.as_object().unwrap().clone();
    container.as_object_mut().unwrap().extend(fields);
    let pod: PodSpec = serde_json::from_value(json!({"containers": [container]})).unwrap();
    ContainerProbes::new(&pod, &pod.containers[0])
}

/// A probe with period, timeout and failure threshold.
fn probe(period: u64, timeout: u64, failures: u32) -> Value {
    json!({"periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures})
}

fn delayed(mut probe: Value, initial_delay: u64) -> Value {
    probe["initialDelaySeconds"] = json!(initial_delay);
    probe
}

#[test]
fn fault_is_detected_after_the_threshold_and_at_most_one_period_more() {
    for (period, timeout, failures, immediate, hanging) in [
        (10, 1, 2, (10, 20), (11, 21)),
        (10, 1, 1, (0, 10), (1, 11)),
        (10, 10, 3, (20, 30), (30, 40)),
        // An attempt that exceeds the period is followed immediately by the next one.
        (1, 3, 2, (1, 2), (6, 7)),
    ] {
        let found = probes(&json!({"livenessProbe": probe(period, timeout, failures)}));
        let (found_immediate, found_hanging) = (
            found.fault_to_restart(FaultMode::Immediate),
            found.fault_to_restart(FaultMode::Hanging),
        );
        assert_eq!(found_immediate, Some(range(immediate.0, immediate.1)));
        assert_eq!(found_hanging, Some(range(hanging.0, hanging.1)));
    }
}

#[test]
fn skipped_ticks_extend_the_detection() {
    let schedule = AttemptSchedule {
        period: secs(1),
        timeout: Duration::from_millis(2500),
        overrun: Overrun::NextTick,
    };
    let detection = schedule.detection(2, FaultMode::Hanging);
    assert_eq!(detection.latest, Duration::from_millis(1000 + 3000 + 2500));
    assert_eq!(schedule.spacing(Duration::ZERO), secs(1));
    // A fault that ends just after an attempt has started, and successes that take up to the timeout.
    let attempt = schedule.timeout;
    let recovery = schedule.spacing(attempt) + schedule.time_to_threshold(2, attempt);
    assert_eq!(recovery, Duration::from_millis(3000 + 3000 + 2500));
}

#[test]
fn unready_is_the_earlier_of_readiness_failure_and_termination() {
    let both = json!({"livenessProbe": probe(5, 1, 1), "readinessProbe": probe(10, 1, 5)});
    let unready = probes(&both).fault_to_unready(FaultMode::Immediate);
    assert_eq!(unready, Some(range(0, 35)));
    let readiness = probes(&json!({"readinessProbe": probe(10, 1, 5)}));
    let unready = readiness.fault_to_unready(FaultMode::Immediate);
    assert_eq!(unready, Some(range(40, 50)));
    let none = probes(&json!({})).fault_to_unready(FaultMode::Immediate);
    assert_eq!(none, None);
}

#[test]
fn first_attempt_waits_for_initial_delay_startup_and_tick() {
    let fields = json!({
        "livenessProbe": delayed(probe(10, 1, 3), 5),
        "readinessProbe": probe(7, 1, 3),
    });
    let first = |fields: &Value, kind| probes(fields).first_attempt(kind).unwrap();
    let (start, success) = (
        AttemptReference::ContainerStart,
        AttemptReference::StartupSuccess,
    );
    let expect = |after, delay| FirstAttempt { after, delay };
    assert_eq!(first(&fields, Liveness), expect(start, range(4, 15)));
    assert_eq!(first(&fields, Readiness), expect(start, range(0, 0)));
    let mut gated = fields;
    gated["startupProbe"] = delayed(probe(2, 1, 30), 3);
    assert_eq!(first(&gated, Startup), expect(start, range(2, 5)));
    assert_eq!(first(&gated, Liveness), expect(success, range(0, 12)));
    assert_eq!(first(&gated, Readiness), expect(success, range(0, 0)));
    let restarted = probes(&gated).first_attempt_after_kubelet_restart(Liveness);
    assert_eq!(restarted, Some(range(0, 10)));
}

#[test]
fn survived_start_depends_on_the_startup_or_liveness_probe() {
    let survived = |fields: Value, mode| {
        let survived = probes(&fields).survived_start(mode)?;
        Some((survived.always.as_secs(), survived.at_most.as_secs()))
    };
    let liveness = json!({"livenessProbe": delayed(probe(10, 1, 3), 10)});
    assert_eq!(
        survived(liveness.clone(), FaultMode::Immediate),
        Some((29, 40))
    );
    let mut both = liveness;
    both["startupProbe"] = probe(10, 30, 30);
    assert_eq!(
        survived(both.clone(), FaultMode::Immediate),
        Some((290, 300))
    );
    assert_eq!(survived(both.clone(), FaultMode::Hanging), Some((870, 880)));
    assert_eq!(survived(json!({}), FaultMode::Immediate), None);
    let failed = probes(&both).failed_start_to_restart(FaultMode::Hanging);
    assert_eq!(failed, Some(range(900, 910)));
}

#[test]
fn termination_takes_at_most_the_grace_period_and_at_least_two_seconds_of_it() {
    let fields = |grace: Value, hook: bool| {
        let mut liveness = probe(10, 1, 1);
        liveness["terminationGracePeriodSeconds"] = grace;
        let mut fields = json!({"livenessProbe": liveness, "startupProbe": probe(1, 1, 1)});
        if hook {
            fields["lifecycle"] = json!({"preStop": {"sleep": {"seconds": 5}}});
        }
        probes(&fields)
    };
    assert_eq!(
        fields(Value::Null, false).termination(Liveness),
        range(0, 30)
    );
    assert_eq!(fields(json!(60), false).termination(Liveness), range(0, 60));
    assert_eq!(fields(json!(60), false).termination(Startup), range(0, 30));
    assert_eq!(fields(json!(1), false).termination(Liveness), range(0, 2));
    assert_eq!(fields(json!(60), true).termination(Liveness), range(0, 62));
}

#[test]
fn serving_again_includes_detection_termination_and_start() {
    let fields = json!({"livenessProbe": probe(10, 1, 2), "readinessProbe": probe(5, 1, 1)});
    let found = probes(&fields);
    let serving = |start| found.fault_to_serving(secs(start), FaultMode::Immediate);
    assert_eq!(serving(0), Some(range(10, 50)));
    assert_eq!(serving(3), Some(range(13, 58)));
    assert_eq!(serving(11), None, "such a start is not always survived");
    let pod = PodSpec {
        restart_policy: Some("Never".to_owned()),
        ..PodSpec::default()
    };
    let container = serde_json::from_value(json!({"name": "c", "livenessProbe": probe(10, 1, 2)}));
    let never = ContainerProbes::new(&pod, &container.unwrap());
    assert_eq!(never.fault_to_serving(secs(0), FaultMode::Immediate), None);
}

/// Returns the delays between exits and restarts in seconds.
fn delays(cause: RestartCause, count: usize) -> Vec<(u64, u64)> {
    let restarts = predict_restarts(BackoffLimits::default(), cause, count).into_iter();
    restarts
        .map(|restart| {
            let delay = |at: Duration| (at - restart.exited_at).as_secs();
            let at = restart.restarted_at;
            (delay(at.earliest), delay(at.latest))
        })
        .collect()
}

#[test]
fn exits_back_off_from_the_second_restart() {
    let exits = RestartCause::Exit {
        after: Duration::ZERO,
    };
    let expected = [
        (0, 0),
        (10, 15),
        (20, 30),
        (40, 60),
        (80, 90),
        (160, 180),
        (300, 330),
    ];
    assert_eq!(delays(exits, 7), expected);
    let long = RestartCause::Exit { after: secs(601) };
    assert_eq!(delays(long, 3), [(0, 0); 3]);
}

/// Recorded on Kubernetes 1.36: a liveness probe fails after 30 s, and the process ignores SIGTERM for another 30 s.
#[test]
fn failed_probe_backs_off_once_the_delay_exceeds_the_lifetime() {
    let cause = RestartCause::FailedProbe { after: secs(60) };
    let restarts = predict_restarts(BackoffLimits::default(), cause, 7);
    let exits: Vec<u64> = restarts
        .iter()
        .map(|restart| restart.exited_at.as_secs())
        .collect();
    assert_eq!(exits, [60, 120, 180, 240, 300, 360, 500]);
    let backoffs: Vec<_> = restarts.iter().map(|restart| restart.backoff).collect();
    assert_eq!(backoffs[..5], [None; 5]);
    assert_eq!(backoffs[5..], [Some(secs(80)), Some(secs(160))]);
    assert_eq!(restarts[5].restarted_at, range(440, 450));
}

#[test]
fn entry_that_expires_during_the_back_off_ends_it() {
    let exits = RestartCause::Exit { after: secs(400) };
    let delays = delays(exits, 9);
    // The entry of the seventh start is deleted 600 s after it, 200 s after the exit.
    assert_eq!(delays[6..], [(200, 290), (10, 15), (20, 30)]);
}
