use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The waits before each restart of a container that lives for `life` seconds and is swept for stale entries meanwhile.
fn waits(life: i64, restarts: usize) -> Vec<i64> {
    let (mut entry, mut now) = (None, 0);
    let mut waits = Vec::new();
    for _ in 0..restarts {
        let ended = now + life;
        now = ended;
        entry = loop {
            entry = entry.filter(|entry| !is_stale(*entry, at(now)));
            match decide(Limits::default(), entry, Some(at(ended)), at(now)) {
                Decision::Start(entry) => break entry,
                Decision::Wait { .. } => now += 1,
            }
        };
        waits.push(now - ended);
    }
    waits
}

#[test]
fn the_wait_doubles_from_ten_seconds_to_five_minutes_after_one_free_restart() {
    assert_eq!(waits(0, 9), [0, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn a_life_of_more_than_ten_minutes_is_a_fresh_start() {
    assert_eq!(waits(601, 4), [0, 0, 0, 0]);
}

#[test]
fn a_container_that_never_ended_starts_and_changes_nothing() {
    let entry = Some(Entry {
        delay: secs(20),
        used: at(0),
    });
    assert_eq!(
        decide(Limits::default(), entry, None, at(1)),
        Decision::Start(entry)
    );
    assert_eq!(
        decide(Limits::default(), None, None, at(1)),
        Decision::Start(None)
    );
}

#[test]
fn the_wait_ends_exactly_when_it_has_passed_since_the_exit() {
    let entry = Some(Entry {
        delay: secs(20),
        used: at(0),
    });
    let wait = Decision::Wait {
        until: at(30),
        delay: secs(20),
    };
    assert_eq!(decide(Limits::default(), entry, Some(at(10)), at(29)), wait);
    let next = Decision::Start(Some(Entry {
        delay: secs(40),
        used: at(30),
    }));
    assert_eq!(decide(Limits::default(), entry, Some(at(10)), at(30)), next);
}

#[test]
fn an_entry_counts_for_600_seconds_and_no_longer() {
    let entry = Entry {
        delay: secs(40),
        used: at(0),
    };
    let start = |delay, now| {
        Decision::Start(Some(Entry {
            delay,
            used: at(now),
        }))
    };
    assert_eq!(
        decide(Limits::default(), Some(entry), Some(at(600)), at(640)),
        start(secs(80), 640)
    );
    assert_eq!(
        decide(Limits::default(), Some(entry), Some(at(601)), at(601)),
        start(secs(10), 601)
    );
    assert_eq!(
        [600, 601].map(|now| is_stale(entry, at(now))),
        [false, true]
    );
}

#[test]
fn the_longest_wait_bounds_the_first() {
    for (max, reduced, expected) in [
        (None, false, (10, 300)),
        (None, true, (1, 60)),
        (Some(2), false, (2, 2)),
        (Some(11), false, (10, 11)),
        (Some(2), true, (1, 2)),
        (Some(300), true, (1, 300)),
    ] {
        let limits = Limits::configured(max.map(secs), reduced);
        assert_eq!(
            limits,
            Limits {
                initial: secs(expected.0),
                max: secs(expected.1)
            },
            "{max:?} {reduced}"
        );
    }
}
