//! Rows about the wait before a restart.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Case;
use super::row::{captures, text};
use crate::backoff::{Decision, Entry, Limits, decide, is_stale};

pub(super) fn is_about(case: &Case) -> bool {
    [
        "newest_instance",
        "configured_max_s",
        "cause",
        "gate_ReduceDefaultCrashLoopBackOffDecay",
    ]
    .iter()
    .any(|key| case.has(key))
}

pub(super) fn run(case: &Case) {
    if case.has("cause") {
        sequence(case);
    } else if case.has("newest_instance") {
        decision(case);
    } else {
        limits(case);
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_f64().map(Duration::from_secs_f64)
}

fn limits(case: &Case) {
    case.only(
        &[
            "gate_ReduceDefaultCrashLoopBackOffDecay",
            "configured_max_s",
        ],
        &["initial_s", "max_s"],
    );
    let reduced = case.given["gate_ReduceDefaultCrashLoopBackOffDecay"] == json!(true);
    let limits = Limits::configured(seconds(&case.given["configured_max_s"]), reduced);
    let found = (limits.initial, limits.max);
    let expected = (
        seconds(&case.expect["initial_s"]),
        seconds(&case.expect["max_s"]),
    );
    assert_eq!((Some(found.0), Some(found.1)), expected, "{}", case.id);
}

/// `newest_instance` is what the newest instance does; one that exited may say how long ago.
fn decision(case: &Case) {
    case.only(
        &["newest_instance", "entry", "initial_s", "max_s"],
        &["in_back_off"],
    );
    let given = &case.given;
    let limits = Limits {
        initial: seconds(&given["initial_s"]).unwrap(),
        max: seconds(&given["max_s"]).unwrap(),
    };
    let now = 0;
    let newest = text(given, "newest_instance");
    let ended = if matches!(newest, "running" | "none") {
        None
    } else {
        let exited = captures(r"exited(?: (\d+(?:\.\d+)?) ?s ago| now| just now)?", newest);
        let exited = exited.unwrap_or_else(|| panic!("{}: instance {newest:?}", case.id));
        let ago: f64 = exited
            .get(1)
            .map_or(0.0, |ago| ago.as_str().parse().unwrap());
        Some(at(now).checked_sub(Duration::from_secs_f64(ago)).unwrap())
    };
    let entry = entry(&given["entry"], at(now));
    let waits = matches!(decide(limits, entry, ended, at(now)), Decision::Wait { .. });
    assert_eq!(json!(waits), case.expect["in_back_off"], "{}", case.id);
}

fn entry(given: &Value, now: Timestamp) -> Option<Entry> {
    let entry = given.as_object()?;
    let known = ["delay_s", "age_s", "used_s_ago"];
    assert!(
        entry.keys().all(|key| known.contains(&key.as_str())),
        "entry {given}"
    );
    let age = seconds(&given["age_s"]).or_else(|| seconds(&given["used_s_ago"]));
    Some(Entry {
        delay: seconds(&given["delay_s"]).expect("an entry has a delay"),
        used: now.checked_sub(age.unwrap_or_default()).unwrap(),
    })
}

/// A container that ends again and again, with stale entries swept away meanwhile.
fn sequence(case: &Case) {
    case.only(&["cause"], &["wait_before_restart_s"]);
    let cause = text(&case.given, "cause");
    let by_itself = captures(
        r"process exits by itself (?:after (\d+) s|at once)(?:, every time)?",
        cause,
    );
    let killed = captures(
        r"killed by (?:liveness|startup) (\d+) s after each start",
        cause,
    );
    let is_killed = killed.is_some();
    let found = by_itself
        .or(killed)
        .unwrap_or_else(|| panic!("{}: cause {cause:?}", case.id));
    let life = found
        .get(1)
        .map_or(0, |life| life.as_str().parse().unwrap());
    let expected: Vec<i64> =
        serde_json::from_value(case.expect["wait_before_restart_s"].clone()).unwrap();
    assert_eq!(
        waits(life, is_killed, expected.len()),
        expected,
        "{}",
        case.id
    );
}

/// A killed instance is still seen as running when its successor is decided on: the exit before it is what counts, until
/// the next look sees the exit as well.
fn waits(life: i64, killed: bool, restarts: usize) -> Vec<i64> {
    let (mut entry, mut now, mut known) = (None, 0, None);
    let mut waits = Vec::new();
    for _ in 0..restarts {
        let ended = now + life;
        now = ended;
        let mut newest = if killed { known } else { Some(ended) };
        entry = loop {
            entry = entry.filter(|entry| !is_stale(*entry, at(now)));
            match decide(Limits::default(), entry, newest.map(at), at(now)) {
                Decision::Start(entry) => break entry,
                Decision::Wait { .. } => {
                    now += 1;
                    newest = Some(ended);
                }
            }
        };
        known = Some(ended);
        waits.push(now - ended);
    }
    waits
}
