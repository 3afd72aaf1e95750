use std::cell::{Cell, RefCell};

use super::*;

fn report(state: State) -> Report {
    Report {
        state,
        verdict: state.verdict(),
        ..Report::no_attempt(String::new())
    }
}

async fn run(limit: Duration, states: &[State]) -> (State, usize, Vec<u128>, Duration) {
    let (start, count) = (Instant::now(), Cell::new(0));
    let lefts = RefCell::new(Vec::new());
    let attempt = |_| {
        let index = count.replace(count.get() + 1);
        let state = states[index.min(states.len() - 1)];
        async move { report(state) }
    };
    let told = |_: &Report, left: Duration| lefts.borrow_mut().push(left.as_millis());
    let state = wait(limit, attempt, told).await.state;
    (state, count.get(), lefts.take(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_first_attempt_that_is_accepted() {
    let states = [State::Refused, State::Starting, State::Accepting];
    let (state, count, lefts, took) = run(Duration::from_secs(60), &states).await;
    assert_eq!((state, count), (State::Accepting, 3));
    assert_eq!(lefts, [60_000, 59_900]);
    assert_eq!(took.as_millis(), 250);
}

#[tokio::test(start_paused = true)]
async fn it_ends_at_once_where_trying_makes_no_sense() {
    let (state, count, _, took) = run(Duration::from_secs(60), &[State::NoAttempt]).await;
    assert_eq!((state, count, took), (State::NoAttempt, 1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn its_pauses_grow_to_two_seconds_and_it_never_outlasts_its_limit() {
    let limit = Duration::from_secs(20);
    let (state, _, lefts, took) = run(limit, &[State::Refused]).await;
    assert_eq!(state, State::Refused);
    assert!(took <= limit, "{took:?}");
    let pauses: Vec<_> = lefts.windows(2).map(|pair| pair[0] - pair[1]).collect();
    assert!(pauses.is_sorted(), "{pauses:?}");
    assert_eq!((pauses.first(), pauses.last()), (Some(&100), Some(&2000)));
}

#[tokio::test(start_paused = true)]
async fn no_time_is_one_attempt() {
    let (_, count, _, _) = run(Duration::ZERO, &[State::Refused]).await;
    assert_eq!(count, 1);
}

#[test]
fn durations_are_read_with_and_without_a_unit() {
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
            duration(text),
            expected.map(Duration::from_millis),
            "{text}"
        );
    }
}
