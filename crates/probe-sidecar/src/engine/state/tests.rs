use super::*;
use crate::spec::{Handler, HealthyWhen};

fn spec(kind: ProbeKind, success: u32, failure: u32) -> ProbeSpec {
    ProbeSpec {
        kind,
        handler: Handler::Unix { path: "/s".into() },
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        initial_delay: Duration::ZERO,
        success_threshold: success,
        failure_threshold: failure,
        stale_after: Duration::from_secs(4),
        healthy_when: HealthyWhen::default(),
    }
}

fn found(attempt: char) -> Result<Finding, ProbeError> {
    let verdict = match attempt {
        '+' => Verdict::Success,
        '-' => Verdict::Failure,
        _ => return Err(ProbeError::unknown("no such command")),
    };
    Ok(Finding {
        verdict,
        reason: None,
        output: String::new(),
        took: Duration::ZERO,
    })
}

/// One attempt a second; the status after each by its first letter: Healthy, Unhealthy, never Run, Stale, unKnown.
#[track_caller]
fn check(spec: &ProbeSpec, attempts: &str, expected: &str) {
    let mut state = State::new(spec, Duration::ZERO);
    let seen: String = (1..)
        .zip(attempts.chars())
        .map(|(second, attempt)| {
            let now = Duration::from_secs(second);
            if attempt != '.' {
                state.observe(now, Duration::ZERO, found(attempt));
            }
            match state.status(spec, now) {
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
fn nothing_is_known_before_a_threshold_is_reached() {
    check(&spec(ProbeKind::Readiness, 2, 2), ".+-++", "RKKKH");
    check(&spec(ProbeKind::Liveness, 1, 2), "--", "KU");
}

#[test]
fn a_failed_liveness_heals_with_a_success_and_fails_again() {
    check(&spec(ProbeKind::Liveness, 1, 2), "+--+-+--", "HHUHHHHU");
    check(&spec(ProbeKind::Liveness, 1, 2), "+-----", "HHUUUU");
}

#[test]
fn an_attempt_that_could_not_be_made_moves_no_counter() {
    check(&spec(ProbeKind::Liveness, 1, 2), "+-?-", "HHHU");
    check(&spec(ProbeKind::Liveness, 1, 2), "?", "K");
}

#[test]
fn a_result_grows_stale_and_errors_make_it_unknown() {
    check(&spec(ProbeKind::Liveness, 1, 1), "+....", "HHHHH");
    check(&spec(ProbeKind::Liveness, 1, 1), "+.....+", "HHHHHSH");
    check(&spec(ProbeKind::Liveness, 1, 1), "+?????-", "HHHHHKU");
    check(&spec(ProbeKind::Liveness, 1, 1), "-.....", "UUUUUS");
}

#[test]
fn a_startup_that_succeeded_never_grows_stale() {
    check(&spec(ProbeKind::Startup, 1, 1), "-+........", "UHHHHHHHHH");
}

#[test]
fn a_startup_that_begins_anew_is_unknown_until_it_is_decided() {
    let spec = spec(ProbeKind::Startup, 1, 1);
    let mut state = State::new(&spec, Duration::ZERO);
    state.observe(Duration::from_secs(1), Duration::ZERO, found('+'));
    let again = state.restart(&spec, Duration::from_secs(2)).unwrap();
    assert_eq!((again.from, again.to), (Some(true), None));
    assert_eq!(state.status(&spec, Duration::from_secs(2)), Status::Unknown);
}

#[test]
fn transitions_tell_from_what_to_what_and_when() {
    let spec = spec(ProbeKind::Liveness, 1, 1);
    let mut state = State::new(&spec, Duration::ZERO);
    let seen: Vec<_> = (1..)
        .zip("+--+".chars())
        .filter_map(|(second, attempt)| {
            state.observe(Duration::from_secs(second), Duration::ZERO, found(attempt))
        })
        .map(|transition| (transition.at.as_secs(), transition.from, transition.to))
        .collect();
    assert_eq!(
        seen,
        [
            (1, None, Some(true)),
            (2, Some(true), Some(false)),
            (4, Some(false), Some(true))
        ]
    );
}

#[test]
fn what_was_said_is_cut_between_letters() {
    let long = "ü".repeat(MAX_OUTPUT);
    assert_eq!(&*capped(long), "ü".repeat(MAX_OUTPUT / 2));
    let odd = format!("x{}", "ü".repeat(MAX_OUTPUT));
    assert_eq!(capped(odd).len(), MAX_OUTPUT - 1);
}
