use super::*;
use crate::spec::{Handler, HealthyWhen};

fn spec(kind: ProbeKind, success: u32, failure: u32) -> ProbeSpec {
    ProbeSpec {
        kind,
        handler: Handler::Unix { path: "/s".into() },
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        jitter: Duration::ZERO,
        success_threshold: success,
        failure_threshold: failure,
        stale_after: Duration::from_secs(4),
        unknown_after: Some(Duration::from_secs(4)),
        healthy_when: HealthyWhen::default(),
    }
}

fn outcome(attempt: char) -> Result<AttemptOutcome, ProbeError> {
    let verdict = match attempt {
        '+' => Verdict::Success,
        '-' => Verdict::Failure,
        _ => return Err(ProbeError::unknown("no such command")),
    };
    Ok(AttemptOutcome {
        verdict,
        reason: None,
        output: String::new(),
        took: Duration::ZERO,
    })
}

/// Runs one attempt a second and compares the status after each by a letter: Healthy, Unhealthy, never Run, Stale, unKnown.
#[track_caller]
fn check(spec: &ProbeSpec, attempts: &str, expected: &str) {
    let mut state = State::new(spec, Duration::ZERO);
    let seen: String = (1..)
        .zip(attempts.chars())
        .map(|(second, attempt)| {
            let now = Duration::from_secs(second);
            if attempt != '.' {
                state.observe(now, Duration::ZERO, outcome(attempt));
            }
            match state.status(spec, Phase::Started, now) {
                Status::Healthy => 'H',
                Status::Unhealthy => 'U',
                Status::NeverRun => 'R',
                Status::Stale => 'S',
                Status::Unknown => 'K',
            }
        })
        .collect();
    assert_eq!(seen, expected, "{attempts}");
}

#[test]
fn status_before_the_first_threshold_is_unknown() {
    check(&spec(ProbeKind::Readiness, 2, 2), ".+-++", "RKKKH");
    check(&spec(ProbeKind::Startup, 1, 2), ".-+", "RKH");
}

#[test]
fn liveness_before_its_first_threshold_is_healthy() {
    check(&spec(ProbeKind::Liveness, 1, 2), ".--", "RHU");
    check(&spec(ProbeKind::Liveness, 1, 6), "------", "HHHHHU");
    check(&spec(ProbeKind::Liveness, 1, 2), "?????", "HHHHK");
}

#[test]
fn failed_liveness_recovers_with_a_success_and_fails_again() {
    check(&spec(ProbeKind::Liveness, 1, 2), "+--+-+--", "HHUHHHHU");
    check(&spec(ProbeKind::Liveness, 1, 2), "+-----", "HHUUUU");
}

#[test]
fn attempt_that_could_not_be_made_changes_no_counter() {
    check(&spec(ProbeKind::Liveness, 1, 2), "+-?-", "HHHU");
    check(&spec(ProbeKind::Readiness, 1, 2), "?", "K");
}

#[test]
fn old_result_is_stale_or_after_errors_unknown() {
    check(&spec(ProbeKind::Liveness, 1, 1), "+....", "HHHHH");
    check(&spec(ProbeKind::Liveness, 1, 1), "+.....+", "HHHHHSH");
    check(&spec(ProbeKind::Liveness, 1, 1), "+?????-", "HHHHHKU");
    check(&spec(ProbeKind::Liveness, 1, 1), "-.....", "UUUUUS");
}

#[test]
fn succeeded_startup_never_becomes_stale() {
    check(&spec(ProbeKind::Startup, 1, 1), "-+........", "UHHHHHHHHH");
}

#[test]
fn startup_after_a_restart_has_never_run() {
    let spec = spec(ProbeKind::Startup, 1, 1);
    let mut state = State::new(&spec, Duration::ZERO);
    let status =
        |state: &State, second| state.status(&spec, Phase::Starting, Duration::from_secs(second));
    state.observe(Duration::from_secs(1), Duration::ZERO, outcome('+'));
    assert_eq!(status(&state, 1), Status::Healthy);
    state.restart(&spec, Duration::from_secs(2));
    assert_eq!(status(&state, 2), Status::NeverRun);
    state.observe(Duration::from_secs(3), Duration::ZERO, outcome('-'));
    assert_eq!(status(&state, 3), Status::Unhealthy);
}

#[test]
fn status_while_a_target_starts_is_that_of_the_kubelet() {
    for (kind, phase, expected) in [
        (ProbeKind::Liveness, Phase::Starting, Status::NeverRun),
        (ProbeKind::Liveness, Phase::StartupFailed, Status::Unhealthy),
        (ProbeKind::Liveness, Phase::Started, Status::Healthy),
        (ProbeKind::Readiness, Phase::Starting, Status::NeverRun),
        (ProbeKind::Readiness, Phase::StartupFailed, Status::NeverRun),
        (ProbeKind::Startup, Phase::StartupFailed, Status::Healthy),
    ] {
        let spec = spec(kind, 1, 1);
        let mut state = State::new(&spec, Duration::ZERO);
        let now = Duration::from_secs(1);
        state.observe(now, Duration::ZERO, outcome('+'));
        assert_eq!(
            state.status(&spec, phase, now),
            expected,
            "{kind:?} {phase:?}"
        );
    }
}

/// Runs one attempt a second and returns the transitions with their second.
fn transitions(spec: &ProbeSpec, attempts: &str) -> Vec<(u64, Status, Status)> {
    let mut state = State::new(spec, Duration::ZERO);
    let mut seen = Vec::new();
    for (second, attempt) in (1..).zip(attempts.chars()) {
        let now = Duration::from_secs(second);
        if attempt != '.' {
            state.observe(now, Duration::ZERO, outcome(attempt));
        }
        if let Some(change) = state.record_transition(spec, Phase::Started, now) {
            seen.push((change.at.as_secs(), change.from, change.to));
        }
    }
    assert_eq!(state.transitions.iter().len(), seen.len());
    let counted: u64 = state
        .totals
        .transitions
        .iter()
        .map(|(_, count)| count)
        .sum();
    assert_eq!(counted, seen.len() as u64);
    seen
}

#[test]
fn transitions_have_both_statuses_and_the_time() {
    use Status::{Healthy, NeverRun, Stale, Unhealthy, Unknown};
    let spec = spec(ProbeKind::Readiness, 1, 1);
    for (attempts, expected) in [
        (
            "+--+",
            vec![
                (1, NeverRun, Healthy),
                (2, Healthy, Unhealthy),
                (4, Unhealthy, Healthy),
            ],
        ),
        // The result holds for four seconds; then attempts that cannot be judged are one transition.
        (
            "+???????+",
            vec![
                (1, NeverRun, Healthy),
                (6, Healthy, Unknown),
                (9, Unknown, Healthy),
            ],
        ),
        (
            "-.....",
            vec![(1, NeverRun, Unhealthy), (6, Unhealthy, Stale)],
        ),
        ("?????", vec![(5, NeverRun, Unknown)]),
    ] {
        assert_eq!(transitions(&spec, attempts), expected, "{attempts}");
    }
}

#[test]
fn output_is_truncated_at_a_character_boundary() {
    let long = "ü".repeat(MAX_OUTPUT);
    assert_eq!(&*truncated(long), "ü".repeat(MAX_OUTPUT / 2));
    let odd = format!("x{}", "ü".repeat(MAX_OUTPUT));
    assert_eq!(truncated(odd).len(), MAX_OUTPUT - 1);
}

#[test]
fn unknown_after_is_independent_of_stale_after() {
    let mut spec = spec(ProbeKind::Liveness, 1, 1);
    spec.unknown_after = None;
    check(&spec, "+???????", "HHHHHHHH");
    check(&spec, "+?......", "HHHHHHSS");
    spec.unknown_after = Some(Duration::from_secs(1));
    check(&spec, "+??+", "HHKH");
    check(&spec, "-??-", "UUKU");
}
