use super::judge;
use crate::exercise::Check;
use crate::exercise::observe::{PodSeen, Seen};

fn pod(name: &str, restarts: i32, ready: bool) -> (String, PodSeen) {
    let ip = Some(format!("10.244.0.{}", name.len()));
    (
        format!("uid-{name}"),
        PodSeen {
            name: name.to_owned(),
            ip,
            restarts,
            ready,
        },
    )
}

/// Two pods; the second was restarted since the mark, and had been once before.
fn seen() -> Seen {
    Seen {
        marked: [pod("a", 0, true), pod("bb", 1, true)].into(),
        pods: [pod("a", 0, true), pod("bb", 2, true)].into(),
        endpoints: vec![2, 1, 2],
        ..Seen::default()
    }
}

#[track_caller]
fn check(claim: &Check, seen: &Seen, expected: Result<(), &str>) {
    assert_eq!(
        judge(claim, seen),
        expected.map_err(str::to_owned),
        "{claim:?}"
    );
}

#[test]
fn the_service_passes_through_the_numbers_claimed() {
    for (want, got, holds) in [
        (&[2, 1, 2][..], &[2, 1, 2][..], true),
        // A container probed under its former identity.
        (&[2, 1, 2], &[2, 1, 2, 1, 2], true),
        (&[2, 1], &[2, 1], true),
        (&[2, 1, 2], &[2], false),
        (&[2, 1, 2], &[2, 1], false),
        (&[2, 1, 2], &[2, 1, 0, 1, 2], false),
        (&[2, 1, 2], &[1, 2, 1, 2], false),
        (&[2, 1], &[2, 1, 2], false),
        (&[2, 1, 2], &[], false),
    ] {
        let seen = Seen {
            endpoints: got.to_vec(),
            ..Seen::default()
        };
        let verdict = judge(&Check::Endpoints(want.to_vec()), &seen);
        assert_eq!(verdict.is_ok(), holds, "{want:?} {got:?}");
    }
}

#[test]
fn a_history_of_endpoints_that_does_not_fit_is_shown() {
    check(
        &Check::Endpoints(vec![2, 1]),
        &seen(),
        Err("endpoint addresses: expected [2, 1], observed [2, 1, 2]"),
    );
}

#[test]
fn restarts_are_counted_from_the_mark_and_sorted() {
    check(&Check::Restarts(vec![0, 1]), &seen(), Ok(()));
    check(
        &Check::Restarts(vec![0, 2]),
        &seen(),
        Err("restarts: expected [0, 2], observed [0, 1]"),
    );
}

#[test]
fn ready_pods_are_counted_as_they_are_now() {
    check(&Check::Ready(2), &seen(), Ok(()));
    let mut seen = seen();
    seen.pods.extend([pod("a", 0, false)]);
    check(
        &Check::Ready(2),
        &seen,
        Err("ready pods: expected 2, observed 1"),
    );
}

#[test]
fn the_pods_are_the_same_when_uids_and_addresses_are() {
    check(&Check::SamePods, &seen(), Ok(()));
    check(
        &Check::SamePods,
        &Seen::default(),
        Err("no pods were observed"),
    );

    let mut gone = seen();
    gone.pods.remove("uid-a");
    check(&Check::SamePods, &gone, Err("pod a is gone"));

    let mut more = seen();
    more.pods.extend([pod("ccc", 0, true)]);
    check(&Check::SamePods, &more, Err("pod ccc is new"));

    let mut moved = seen();
    moved.pods.get_mut("uid-a").unwrap().ip = None;
    check(
        &Check::SamePods,
        &moved,
        Err("pod a had address Some(\"10.244.0.1\") and has None"),
    );
}
