use super::*;

fn occurrence(message: &str) -> Occurrence {
    Occurrence {
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
fn the_same_event_again_counts_up_under_its_first_name() {
    let mut correlator = Correlator::default();
    let first = correlator.observe(occurrence("no"), secs(0)).expect("room");
    assert_eq!((first.count, first.written_as), (1, None));
    correlator.written(&first.key, "api.1".to_owned());
    let mut again = occurrence("no");
    again.at = Timestamp::from_second(7).expect("in range");
    let second = correlator.observe(again, secs(7)).expect("room");
    assert_eq!(second.count, 2);
    assert_eq!(second.written_as.as_deref(), Some("api.1"));
    assert_eq!(second.first, Timestamp::UNIX_EPOCH);
    assert_eq!(second.last.as_second(), 7);
}

#[test]
fn another_container_type_or_reason_is_another_event() {
    let mut correlator = Correlator::default();
    correlator.observe(occurrence("no"), secs(0));
    let mut container = occurrence("no");
    container.object.field_path = Some("spec.containers{web}".to_owned());
    let mut kind = occurrence("no");
    kind.kind = EventType::Normal;
    let mut reason = occurrence("no");
    reason.reason = "BackOff".to_owned();
    for other in [container, kind, reason] {
        assert_eq!(correlator.observe(other, secs(0)).expect("room").count, 1);
    }
}

#[test]
fn the_tenth_message_under_one_reason_starts_a_combined_event() {
    let mut correlator = Correlator::default();
    for n in 1..=9 {
        let seen = correlator
            .observe(occurrence(&n.to_string()), secs(0))
            .expect("room");
        assert_eq!(seen.message, n.to_string());
    }
    let tenth = correlator
        .observe(occurrence("ten"), secs(0))
        .expect("room");
    assert_eq!(
        (tenth.message.as_str(), tenth.count),
        ("(combined from similar events): ten", 1)
    );
    let eleventh = correlator
        .observe(occurrence("eleven"), secs(0))
        .expect("room");
    assert_eq!(
        (eleventh.message.as_str(), eleventh.count),
        ("(combined from similar events): eleven", 2)
    );
    assert_eq!(eleventh.key, tenth.key);
}

#[track_caller]
fn check_memory(pause: Duration, combined: bool) {
    let mut correlator = Correlator::default();
    for n in 1..=9 {
        correlator.observe(occurrence(&n.to_string()), secs(0));
    }
    let next = correlator.observe(occurrence("next"), pause).expect("room");
    assert_eq!(
        next.message.starts_with(COMBINED),
        combined,
        "after {pause:?}"
    );
}

#[test]
fn similar_events_are_forgotten_after_ten_minutes() {
    check_memory(secs(600), true);
    check_memory(secs(601), false);
}

#[test]
fn an_object_writes_twenty_five_events_of_a_type_and_then_one_in_five_minutes() {
    let mut correlator = Correlator::default();
    let written = (0..40)
        .filter(|_| correlator.observe(occurrence("no"), secs(0)).is_some())
        .count();
    assert_eq!(written, 25);
    let mut normal = occurrence("yes");
    normal.kind = EventType::Normal;
    assert!(
        correlator.observe(normal, secs(0)).is_some(),
        "the other type has its own share"
    );
    assert_eq!(correlator.observe(occurrence("no"), secs(299)), None);
    let later = correlator
        .observe(occurrence("no"), secs(301))
        .expect("one more");
    assert_eq!(later.count, 42, "dropped events count");
}
