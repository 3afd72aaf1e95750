//! Rows about CrashLoopBackOff.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Case;
use super::row::{captures, text};
use crate::backoff::{BackoffEntry, BackoffLimits, StartDecision, decide_start, is_expired};

pub(super) fn can_run(case: &Case) -> bool {
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
        check_delays(case);
    } else if case.has("newest_instance") {
        check_decision(case);
    } else {
        check_limits(case);
    }
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

fn seconds(value: &Value) -> Option<Duration> {
    value.as_f64().map(Duration::from_secs_f64)
}

fn check_limits(case: &Case) {
    case.reject_unknown_fields(
        &[
            "gate_ReduceDefaultCrashLoopBackOffDecay",
            "configured_max_s",
        ],
        &["initial_s", "max_s"],
    );
    let reduced = case.given["gate_ReduceDefaultCrashLoopBackOffDecay"] == json!(true);
    let limits = BackoffLimits::configured(seconds(&case.given["configured_max_s"]), reduced);
    let found = (limits.initial, limits.max);
    let expected = (
        seconds(&case.expect["initial_s"]),
        seconds(&case.expect["max_s"]),
    );
    assert_eq!((Some(found.0), Some(found.1)), expected, "{}", case.id);
}

/// Field `newest_instance` is the state of the newest instance, with the seconds since its exit.
fn check_decision(case: &Case) {
    case.reject_unknown_fields(
        &["newest_instance", "entry", "initial_s", "max_s"],
        &["in_back_off"],
    );
    let given = &case.given;
    let limits = BackoffLimits {
        initial: seconds(&given["initial_s"]).unwrap(),
        max: seconds(&given["max_s"]).unwrap(),
    };
    let now = 0;
    let newest = text(given, "newest_instance");
    let exited_at = if matches!(newest, "running" | "none") {
        None
    } else {
        let exited = captures(r"exited(?: (\d+(?:\.\d+)?) ?s ago| now| just now)?", newest);
        let exited = exited.unwrap_or_else(|| panic!("{}: instance {newest:?}", case.id));
        let ago: f64 = exited
            .get(1)
            .map_or(0.0, |ago| ago.as_str().parse().unwrap());
        Some(
            timestamp(now)
                .checked_sub(Duration::from_secs_f64(ago))
                .unwrap(),
        )
    };
    let entry = parse_entry(&given["entry"], timestamp(now));
    let is_waiting = matches!(
        decide_start(limits, entry, exited_at, timestamp(now)),
        StartDecision::Wait { .. }
    );
    assert_eq!(json!(is_waiting), case.expect["in_back_off"], "{}", case.id);
}

fn parse_entry(given: &Value, now: Timestamp) -> Option<BackoffEntry> {
    let entry = given.as_object()?;
    let known = ["delay_s", "age_s", "used_s_ago"];
    assert!(
        entry.keys().all(|key| known.contains(&key.as_str())),
        "entry {given}"
    );
    let age = seconds(&given["age_s"]).or_else(|| seconds(&given["used_s_ago"]));
    Some(BackoffEntry {
        delay: seconds(&given["delay_s"]).expect("an entry has a delay"),
        last_start: now.checked_sub(age.unwrap_or_default()).unwrap(),
    })
}

/// A container that terminates repeatedly, with the periodic clean-up of expired entries.
fn check_delays(case: &Case) {
    case.reject_unknown_fields(&["cause"], &["wait_before_restart_s"]);
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
    let lifetime = found
        .get(1)
        .map_or(0, |seconds| seconds.as_str().parse().unwrap());
    let expected: Vec<i64> =
        serde_json::from_value(case.expect["wait_before_restart_s"].clone()).unwrap();
    assert_eq!(
        delays(lifetime, is_killed, expected.len()),
        expected,
        "{}",
        case.id
    );
}

/// Computes the delays before restarts. The pod sync that kills a container decides about its successor from a status in
/// which the container still runs, so the previous exit counts; the next sync uses the new exit.
fn delays(lifetime: i64, is_killed: bool, restarts: usize) -> Vec<i64> {
    let (mut entry, mut now, mut previous_exit) = (None, 0, None);
    let mut delays = Vec::new();
    for _ in 0..restarts {
        let exited_at = now + lifetime;
        now = exited_at;
        let mut newest_exit = if is_killed {
            previous_exit
        } else {
            Some(exited_at)
        };
        entry = loop {
            entry = entry.filter(|entry| !is_expired(*entry, timestamp(now)));
            match decide_start(
                BackoffLimits::default(),
                entry,
                newest_exit.map(timestamp),
                timestamp(now),
            ) {
                StartDecision::Start(entry) => break entry,
                StartDecision::Wait { .. } => {
                    now += 1;
                    newest_exit = Some(exited_at);
                }
            }
        };
        previous_exit = Some(exited_at);
        delays.push(now - exited_at);
    }
    delays
}
