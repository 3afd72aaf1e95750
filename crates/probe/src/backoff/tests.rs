use super::*;

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Returns the delays before each restart of a container that runs for `lifetime` seconds, with the periodic clean-up of
/// entries.
fn delays(lifetime: i64, restarts: usize) -> Vec<i64> {
    let (mut entry, mut now) = (None, 0);
    let mut delays = Vec::new();
    for _ in 0..restarts {
        let exited_at = now + lifetime;
        now = exited_at;
        entry = loop {
            entry = entry.filter(|entry| !is_expired(*entry, timestamp(now)));
            match decide_start(
                BackoffLimits::default(),
                entry,
                Some(timestamp(exited_at)),
                timestamp(now),
            ) {
                StartDecision::Start(entry) => break entry,
                StartDecision::Wait { .. } => now += 1,
            }
        };
        delays.push(now - exited_at);
    }
    delays
}

#[test]
fn delay_doubles_from_ten_seconds_to_five_minutes_after_an_immediate_restart() {
    assert_eq!(delays(0, 9), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn lifetime_of_more_than_ten_minutes_resets_the_delay() {
    assert_eq!(delays(601, 4), [0, 0, 0, 0]);
}

#[test]
fn first_start_is_immediate_and_keeps_the_entry() {
    let entry = Some(BackoffEntry {
        delay: secs(20),
        last_start: timestamp(0),
    });
    assert_eq!(
        decide_start(BackoffLimits::default(), entry, None, timestamp(1)),
        StartDecision::Start(entry)
    );
    assert_eq!(
        decide_start(BackoffLimits::default(), None, None, timestamp(1)),
        StartDecision::Start(None)
    );
}

#[test]
fn start_is_allowed_once_the_delay_since_the_exit_has_passed() {
    let entry = Some(BackoffEntry {
        delay: secs(20),
        last_start: timestamp(0),
    });
    let wait = StartDecision::Wait {
        until: timestamp(30),
        delay: secs(20),
    };
    assert_eq!(
        decide_start(
            BackoffLimits::default(),
            entry,
            Some(timestamp(10)),
            timestamp(29)
        ),
        wait
    );
    let next = StartDecision::Start(Some(BackoffEntry {
        delay: secs(40),
        last_start: timestamp(30),
    }));
    assert_eq!(
        decide_start(
            BackoffLimits::default(),
            entry,
            Some(timestamp(10)),
            timestamp(30)
        ),
        next
    );
}

#[test]
fn entry_expires_after_600_seconds() {
    let entry = BackoffEntry {
        delay: secs(40),
        last_start: timestamp(0),
    };
    let start = |delay, now| {
        StartDecision::Start(Some(BackoffEntry {
            delay,
            last_start: timestamp(now),
        }))
    };
    assert_eq!(
        decide_start(
            BackoffLimits::default(),
            Some(entry),
            Some(timestamp(600)),
            timestamp(640)
        ),
        start(secs(80), 640)
    );
    assert_eq!(
        decide_start(
            BackoffLimits::default(),
            Some(entry),
            Some(timestamp(601)),
            timestamp(601)
        ),
        start(secs(10), 601)
    );
    assert_eq!(
        [600, 601].map(|now| is_expired(entry, timestamp(now))),
        [false, true]
    );
}

#[test]
fn initial_delay_is_at_most_the_maximum() {
    for (max, reduced, expected) in [
        (None, false, (10, 300)),
        (None, true, (1, 60)),
        (Some(2), false, (2, 2)),
        (Some(11), false, (10, 11)),
        (Some(2), true, (1, 2)),
        (Some(300), true, (1, 300)),
    ] {
        let limits = BackoffLimits::configured(max.map(secs), reduced);
        assert_eq!(
            limits,
            BackoffLimits {
                initial: secs(expected.0),
                max: secs(expected.1)
            },
            "{max:?} {reduced}"
        );
    }
}
