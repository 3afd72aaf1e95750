use super::{Judgement, judge};
use crate::exercise::Check;
use crate::exercise::observe::{AppSeen, PodSeen, Seen};

fn pod(name: &str, restarts: i32, ready: bool) -> (String, PodSeen) {
    let ip = Some(format!("10.244.0.{}", name.len()));
    (
        format!("uid-{name}"),
        PodSeen {
            name: name.to_owned(),
            ip,
            restarts,
            ready,
            waiting: None,
            message: None,
        },
    )
}

/// Two pods; the second was restarted since the mark, and had been once before.
fn seen() -> AppSeen {
    AppSeen {
        marked: [pod("a", 0, true), pod("bb", 1, true)].into(),
        pods: [pod("a", 0, true), pod("bb", 2, true)].into(),
        endpoints: vec![2, 1, 2],
        ..AppSeen::default()
    }
}

fn whole(app: &AppSeen) -> Seen {
    let mut seen = Seen::default();
    *seen.app_mut("app") = app.clone();
    seen
}

#[track_caller]
fn check(check: &Check, seen: &AppSeen, expected: Result<(), &str>) {
    assert_eq!(
        judge(check, "app", &whole(seen)),
        judgement(expected),
        "{check:?}"
    );
}

fn judgement(expected: Result<(), &str>) -> Judgement {
    match expected {
        Ok(()) => Judgement::Pass,
        Err(observed) => Judgement::Fail(observed.to_owned()),
    }
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
    ] {
        let seen = AppSeen {
            endpoints: got.to_vec(),
            ..AppSeen::default()
        };
        let verdict = judge(&Check::Endpoints(want.to_vec()), "app", &whole(&seen));
        assert_eq!(verdict == Judgement::Pass, holds, "{want:?} {got:?}");
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

#[test]
fn pods_are_untouched_while_they_are_ready_and_not_restarted_whatever_else_comes() {
    let mut fine = seen();
    fine.pods = fine.marked.clone();
    fine.pods.extend([pod("new", 7, false)]);
    check(&Check::Untouched, &fine, Ok(()));
    let touched = "pod bb was restarted or is not ready any more";
    check(&Check::Untouched, &seen(), Err(touched));
    let mut unready = fine.clone();
    unready.pods.extend([pod("bb", 1, false)]);
    check(&Check::Untouched, &unready, Err(touched));
    fine.pods.remove("uid-a");
    check(&Check::Untouched, &fine, Err("pod a is gone"));
}

#[test]
fn pods_are_replaced_once_none_of_the_old_is_left_and_the_new_have_not_failed() {
    let mut new = seen();
    new.pods = [pod("c", 0, true), pod("dd", 0, true)].into();
    check(&Check::Replaced, &new, Ok(()));
    new.pods.extend([pod("c", 1, true)]);
    check(&Check::Replaced, &new, Err("pod c was restarted"));
    new.pods.extend([pod("bb", 1, true)]);
    check(&Check::Replaced, &new, Err("pod bb is still there"));
    new.pods.clear();
    check(&Check::Replaced, &new, Err("no pod is left"));
}

#[test]
fn the_fewest_addresses_since_the_mark_are_what_counts() {
    for (least, got, holds) in [
        (2, &[2, 3, 2][..], true),
        (2, &[2], true),
        (2, &[2, 1, 2], false),
        (1, &[2, 1, 2], true),
    ] {
        let seen = AppSeen {
            endpoints: got.to_vec(),
            ..AppSeen::default()
        };
        let judged = judge(&Check::EndpointsAtLeast(least), "app", &whole(&seen));
        assert_eq!(judged == Judgement::Pass, holds, "{least} {got:?}");
    }
}

#[test]
fn each_pod_has_to_be_restarted_where_that_is_claimed() {
    let expected = "restarts: expected one of every pod, observed [0, 1]";
    check(&Check::EachRestarted, &seen(), Err(expected));
    let mut both = seen();
    both.pods.extend([pod("a", 1, true)]);
    check(&Check::EachRestarted, &both, Ok(()));
}

#[test]
fn a_reason_to_wait_is_some_containers() {
    let claim = Check::Waiting("CrashLoopBackOff".to_owned());
    let expected = "waiting containers: expected \"CrashLoopBackOff\", observed []";
    check(&claim, &seen(), Err(expected));
    let mut waits = seen();
    waits.pods.get_mut("uid-a").unwrap().waiting = Some("CrashLoopBackOff".to_owned());
    check(&claim, &waits, Ok(()));
}

#[test]
fn rollout_is_complete_or_not() {
    for (known, claimed, holds) in [
        (Some(true), true, true),
        (Some(true), false, false),
        (Some(false), false, true),
    ] {
        let seen = AppSeen {
            rolled_out: known,
            ..seen()
        };
        let judged = judge(&Check::RolledOut(claimed), "app", &whole(&seen));
        assert_eq!(judged == Judgement::Pass, holds, "{known:?} {claimed}");
    }
}

#[test]
fn a_text_counts_once_a_page_has_shown_it() {
    let mut seen = Seen::default();
    let claim = Check::Shown("milk".to_owned());
    let judged = judge(&claim, "app", &seen);
    assert_eq!(judged, judgement(Err("no page showed \"milk\"")));
    seen.shown.insert("milk".to_owned());
    assert_eq!(judge(&claim, "app", &seen), Judgement::Pass);
}

#[test]
fn one_failed_request_fails_the_check() {
    let mut seen = Seen::default();
    let judged = |seen: &Seen| judge(&Check::EveryVisitAnswered, "app", seen);
    seen.visits.all = 3;
    assert_eq!(judged(&seen), Judgement::Pass);
    seen.visits.failures.push("status 503".to_owned());
    let expected = "1 of 3 requests failed; the first: status 503";
    assert_eq!(judged(&seen), judgement(Err(expected)));
}

#[test]
fn checks_without_an_observation_are_not_judged() {
    let sooner = "{part: served, by: sidecar, than: kubelet, times: 2}";
    for (check, missing) in [
        (Check::Restarts(vec![]), "no pod of app was observed"),
        (Check::EachRestarted, "no pod of app was observed"),
        (Check::Ready(0), "no pod of app was observed"),
        (
            Check::Waiting("CrashLoopBackOff".to_owned()),
            "no pod of app was observed",
        ),
        (Check::Logged(vec![]), "no pod of app was observed"),
        (
            Check::SamePods,
            "no pod of app before the change was observed",
        ),
        (
            Check::Untouched,
            "no pod of app before the change was observed",
        ),
        (
            Check::Replaced,
            "no pod of app before the change was observed",
        ),
        (Check::Endpoints(vec![]), "no endpoints of app was observed"),
        (
            Check::EndpointsAtLeast(0),
            "no endpoints of app was observed",
        ),
        (
            Check::RolledOut(false),
            "no pod of deployment app was observed",
        ),
        (Check::EveryVisitAnswered, "no request was observed"),
        (
            Check::Sooner(serde_saphyr::from_str(sooner).unwrap()),
            "not every outage was observed",
        ),
    ] {
        let judged = judge(&check, "app", &Seen::default());
        assert_eq!(
            judged,
            Judgement::NotJudged(missing.to_owned()),
            "{check:?}"
        );
    }
}
