use std::cell::{Cell, RefCell};

use super::*;

fn report(state: State) -> Report {
    Report {
        state,
        ping_status: state.ping_status(),
        ..Report::no_attempt(String::new())
    }
}

/// Result of a wait whose attempts return the given states, the last one repeatedly.
struct Waited {
    state: State,
    attempts: usize,
    /// Milliseconds left at each retry.
    left_ms: Vec<u128>,
    duration: Duration,
}

async fn wait(limit: Duration, states: &[State]) -> Waited {
    let (start, attempts) = (Instant::now(), Cell::new(0));
    let left_ms = RefCell::new(Vec::new());
    let attempt = |_| {
        let index = attempts.replace(attempts.get() + 1);
        let state = states[index.min(states.len() - 1)];
        async move { report(state) }
    };
    let on_retry = |_: &Report, left: Duration| left_ms.borrow_mut().push(left.as_millis());
    let state = wait_until_ready(limit, attempt, on_retry).await.state;
    Waited {
        state,
        attempts: attempts.get(),
        left_ms: left_ms.take(),
        duration: start.elapsed(),
    }
}

#[tokio::test(start_paused = true)]
async fn wait_accepting_attempt_is_the_last() {
    let states = [State::Refused, State::Starting, State::Accepting];
    let waited = wait(Duration::from_secs(60), &states).await;
    assert_eq!((waited.state, waited.attempts), (State::Accepting, 3));
    assert_eq!(waited.left_ms, [60_000, 59_900]);
    assert_eq!(waited.duration.as_millis(), 250);
}

#[tokio::test(start_paused = true)]
async fn wait_invalid_attempt_is_not_retried() {
    let waited = wait(Duration::from_secs(60), &[State::NoAttempt]).await;
    assert_eq!((waited.state, waited.attempts), (State::NoAttempt, 1));
    assert_eq!(waited.duration, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn wait_backoff_grows_to_its_maximum_within_the_limit() {
    let limit = Duration::from_secs(20);
    let waited = wait(limit, &[State::Refused]).await;
    assert_eq!(waited.state, State::Refused);
    // The last attempt is at the end of the limit.
    assert_eq!(waited.duration, limit);
    let pairs = waited.left_ms.windows(2);
    let backoffs: Vec<_> = pairs.map(|pair| pair[0] - pair[1]).collect();
    assert!(backoffs.is_sorted(), "{backoffs:?}");
    assert_eq!(
        (backoffs.first(), backoffs.last()),
        (Some(&100), Some(&2000))
    );
}

#[tokio::test(start_paused = true)]
async fn wait_limit_of_zero_makes_one_attempt() {
    let waited = wait(Duration::ZERO, &[State::Refused]).await;
    assert_eq!(waited.attempts, 1);
}

#[test]
fn duration_unit_is_optional() {
    for (text, expected) in [
        ("3", Some(3_000)),
        ("500ms", Some(500)),
        ("2m", Some(120_000)),
        ("1m 30s", Some(90_000)),
        ("", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(
            parse_duration(text),
            expected.map(Duration::from_millis),
            "{text}"
        );
    }
}
