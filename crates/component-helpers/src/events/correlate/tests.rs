use super::*;

fn raw_event(message: &str) -> RawEvent {
    RawEvent {
        object: ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: Some("default".to_owned()),
            name: Some("api".to_owned()),
            ..ObjectReference::default()
        },
        kind: EventType::Warning,
        reason: "Unhealthy".to_owned(),
        message: message.to_owned(),
        at: Timestamp::UNIX_EPOCH,
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn equal_events_increment_the_count_of_the_first() {
    let mut correlator = Correlator::default();
    let first = correlator
        .correlate(raw_event("no"), secs(0))
        .expect("within the rate");
    assert_eq!((first.count, first.existing_name), (1, None));
    correlator.record_name(&first.key, "api.1".to_owned());
    let mut again = raw_event("no");
    again.at = Timestamp::from_second(7).expect("in range");
    let second = correlator
        .correlate(again, secs(7))
        .expect("within the rate");
    assert_eq!(second.count, 2);
    assert_eq!(second.existing_name.as_deref(), Some("api.1"));
    assert_eq!(second.first, Timestamp::UNIX_EPOCH);
    assert_eq!(second.last.as_second(), 7);
}

#[test]
fn events_of_other_containers_types_or_reasons_are_separate() {
    let mut correlator = Correlator::default();
    correlator.correlate(raw_event("no"), secs(0));
    let mut container = raw_event("no");
    container.object.field_path = Some("spec.containers{web}".to_owned());
    let mut kind = raw_event("no");
    kind.kind = EventType::Normal;
    let mut reason = raw_event("no");
    reason.reason = "BackOff".to_owned();
    for other in [container, kind, reason] {
        assert_eq!(
            correlator
                .correlate(other, secs(0))
                .expect("within the rate")
                .count,
            1
        );
    }
}

#[test]
fn tenth_message_of_one_reason_starts_an_aggregate_event() {
    let mut correlator = Correlator::default();
    for n in 1..=9 {
        let seen = correlator
            .correlate(raw_event(&n.to_string()), secs(0))
            .expect("within the rate");
        assert_eq!(seen.message, n.to_string());
    }
    let tenth = correlator
        .correlate(raw_event("ten"), secs(0))
        .expect("within the rate");
    assert_eq!(
        (tenth.message.as_str(), tenth.count),
        ("(combined from similar events): ten", 1)
    );
    let eleventh = correlator
        .correlate(raw_event("eleven"), secs(0))
        .expect("within the rate");
    assert_eq!(
        (eleventh.message.as_str(), eleventh.count),
        ("(combined from similar events): eleven", 2)
    );
    assert_eq!(eleventh.key, tenth.key);
}

#[track_caller]
fn check_aggregation_after(pause: Duration, is_aggregated: bool) {
    let mut correlator = Correlator::default();
    for n in 1..=9 {
        correlator.correlate(raw_event(&n.to_string()), secs(0));
    }
    let next = correlator
        .correlate(raw_event("next"), pause)
        .expect("within the rate");
    assert_eq!(
        next.message.starts_with(AGGREGATE_PREFIX),
        is_aggregated,
        "after {pause:?}"
    );
}

#[test]
fn aggregation_ends_after_ten_minutes_without_an_event() {
    check_aggregation_after(secs(600), true);
    check_aggregation_after(secs(601), false);
}

#[test]
fn object_has_a_burst_of_25_events_of_a_type_and_then_one_in_five_minutes() {
    let mut correlator = Correlator::default();
    let written = (0..40)
        .filter(|_| correlator.correlate(raw_event("no"), secs(0)).is_some())
        .count();
    assert_eq!(written, 25);
    let mut normal = raw_event("yes");
    normal.kind = EventType::Normal;
    assert!(
        correlator.correlate(normal, secs(0)).is_some(),
        "the other type has its own rate limit"
    );
    assert_eq!(correlator.correlate(raw_event("no"), secs(299)), None);
    let later = correlator
        .correlate(raw_event("no"), secs(301))
        .expect("one more");
    assert_eq!(later.count, 42, "dropped events count");
}
