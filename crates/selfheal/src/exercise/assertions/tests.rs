use super::{Judgement, judge};
use crate::exercise::Check;
use crate::exercise::observe::{AppState, Observations, PodState};

fn pod(name: &str, restarts: i32, ready: bool) -> (String, PodState) {
    let state = PodState {
        name: name.to_owned(),
        ip: Some(format!("10.244.0.{}", name.len())),
        restarts,
        ready,
        ..PodState::default()
    };
    (format!("uid-{name}"), state)
}

/// Two pods; the second was restarted before and after the checkpoint.
fn two_pods() -> AppState {
    AppState {
        checkpoint_pods: [pod("a", 0, true), pod("bb", 1, true)].into(),
        pods: [pod("a", 0, true), pod("bb", 2, true)].into(),
        endpoints: vec![2, 1, 2],
        ..AppState::default()
    }
}

fn observations(app: &AppState) -> Observations {
    let mut observations = Observations::default();
    *observations.app_mut("app") = app.clone();
    observations
}

#[track_caller]
fn assert_judged(check: &Check, app: &AppState, expected: Result<(), &str>) {
    assert_eq!(
        judge(check, "app", &observations(app)),
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
fn endpoints_pass_through_the_expected_numbers() {
    for (expected, observed, passes) in [
        (&[2, 1, 2][..], &[2, 1, 2][..], true),
        // The kubelet probes a new container under the status of the old one.
        (&[2, 1, 2], &[2, 1, 2, 1, 2], true),
        (&[2, 1], &[2, 1], true),
        (&[2, 1, 2], &[2], false),
        (&[2, 1, 2], &[2, 1], false),
        (&[2, 1, 2], &[2, 1, 0, 1, 2], false),
        (&[2, 1, 2], &[1, 2, 1, 2], false),
        (&[2, 1], &[2, 1, 2], false),
    ] {
        let app = AppState {
            endpoints: observed.to_vec(),
            ..AppState::default()
        };
        let check = Check::Endpoints(expected.to_vec());
        let judged = judge(&check, "app", &observations(&app));
        assert_eq!(
            judged == Judgement::Pass,
            passes,
            "{expected:?} {observed:?}"
        );
    }
}

#[test]
fn failed_check_of_endpoints_shows_the_observed_numbers() {
    assert_judged(
        &Check::Endpoints(vec![2, 1]),
        &two_pods(),
        Err("endpoint addresses: expected [2, 1], observed [2, 1, 2]"),
    );
}

#[test]
fn restarts_are_counted_from_the_checkpoint_and_sorted() {
    assert_judged(&Check::Restarts(vec![0, 1]), &two_pods(), Ok(()));
    assert_judged(
        &Check::Restarts(vec![0, 2]),
        &two_pods(),
        Err("restarts: expected [0, 2], observed [0, 1]"),
    );
}

#[test]
fn ready_pods_are_counted_in_the_current_state() {
    assert_judged(&Check::Ready(2), &two_pods(), Ok(()));
    let mut app = two_pods();
    app.pods.extend([pod("a", 0, false)]);
    assert_judged(
        &Check::Ready(2),
        &app,
        Err("ready pods: expected 2, observed 1"),
    );
}

#[test]
fn pods_with_the_same_uids_and_addresses_are_the_same() {
    assert_judged(&Check::SamePods, &two_pods(), Ok(()));

    let mut deleted = two_pods();
    deleted.pods.remove("uid-a");
    assert_judged(&Check::SamePods, &deleted, Err("pod a was deleted"));

    let mut added = two_pods();
    added.pods.extend([pod("ccc", 0, true)]);
    assert_judged(&Check::SamePods, &added, Err("pod ccc is new"));

    let mut moved = two_pods();
    moved.pods.get_mut("uid-a").unwrap().ip = None;
    assert_judged(
        &Check::SamePods,
        &moved,
        Err("pod a had address Some(\"10.244.0.1\") and has None"),
    );
}

#[test]
fn pods_are_unchanged_while_they_are_ready_and_not_restarted() {
    let mut app = two_pods();
    app.pods = app.checkpoint_pods.clone();
    app.pods.extend([pod("new", 7, false)]);
    assert_judged(&Check::PodsUnchanged, &app, Ok(()));
    let changed = "pod bb was restarted or is not ready any more";
    assert_judged(&Check::PodsUnchanged, &two_pods(), Err(changed));
    let mut unready = app.clone();
    unready.pods.extend([pod("bb", 1, false)]);
    assert_judged(&Check::PodsUnchanged, &unready, Err(changed));
    app.pods.remove("uid-a");
    assert_judged(&Check::PodsUnchanged, &app, Err("pod a was deleted"));
}

#[test]
fn pods_are_replaced_without_an_old_pod_and_without_a_restart() {
    let mut app = two_pods();
    app.pods = [pod("c", 0, true), pod("dd", 0, true)].into();
    assert_judged(&Check::PodsReplaced, &app, Ok(()));
    app.pods.extend([pod("c", 1, true)]);
    assert_judged(&Check::PodsReplaced, &app, Err("pod c was restarted"));
    app.pods.extend([pod("bb", 1, true)]);
    assert_judged(&Check::PodsReplaced, &app, Err("pod bb still exists"));
    app.pods.clear();
    assert_judged(&Check::PodsReplaced, &app, Err("there is no pod"));
}

#[test]
fn endpoints_at_least_compares_the_minimum_since_the_checkpoint() {
    for (minimum, observed, passes) in [
        (2, &[2, 3, 2][..], true),
        (2, &[2], true),
        (2, &[2, 1, 2], false),
        (1, &[2, 1, 2], true),
    ] {
        let app = AppState {
            endpoints: observed.to_vec(),
            ..AppState::default()
        };
        let check = Check::EndpointsAtLeast(minimum);
        let judged = judge(&check, "app", &observations(&app));
        assert_eq!(judged == Judgement::Pass, passes, "{minimum} {observed:?}");
    }
}

#[test]
fn each_restarted_fails_if_one_pod_was_not_restarted() {
    let observed = "restarts: expected one of every pod, observed [0, 1]";
    assert_judged(&Check::EachRestarted, &two_pods(), Err(observed));
    let mut both = two_pods();
    both.pods.extend([pod("a", 1, true)]);
    assert_judged(&Check::EachRestarted, &both, Ok(()));
}

#[test]
fn waiting_passes_if_any_container_waits_for_the_reason() {
    let check = Check::Waiting("CrashLoopBackOff".to_owned());
    let observed = "waiting containers: expected \"CrashLoopBackOff\", observed []";
    assert_judged(&check, &two_pods(), Err(observed));
    let mut waiting = two_pods();
    let pod = waiting.pods.get_mut("uid-a").unwrap();
    pod.waiting_reason = Some("CrashLoopBackOff".to_owned());
    assert_judged(&check, &waiting, Ok(()));
}

#[test]
fn rollout_is_complete_or_not() {
    for (observed, expected, passes) in [
        (Some(true), true, true),
        (Some(true), false, false),
        (Some(false), false, true),
    ] {
        let app = AppState {
            rolled_out: observed,
            ..two_pods()
        };
        let judged = judge(&Check::RolledOut(expected), "app", &observations(&app));
        assert_eq!(judged == Judgement::Pass, passes, "{observed:?} {expected}");
    }
}

#[test]
fn page_contains_passes_once_a_page_contained_the_text() {
    let mut observations = Observations::default();
    let check = Check::PageContains("milk".to_owned());
    let judged = judge(&check, "app", &observations);
    assert_eq!(judged, judgement(Err("no page contained \"milk\"")));
    observations.page_texts.insert("milk".to_owned());
    assert_eq!(judge(&check, "app", &observations), Judgement::Pass);
}

#[test]
fn one_failed_request_fails_the_check() {
    let mut observations = Observations::default();
    observations.load.requests = 3;
    let judged = judge(&Check::NoFailedRequests, "app", &observations);
    assert_eq!(judged, Judgement::Pass);
    observations.load.failures.push("status 503".to_owned());
    let judged = judge(&Check::NoFailedRequests, "app", &observations);
    let expected = "1 of 3 requests failed; the first: status 503";
    assert_eq!(judged, judgement(Err(expected)));
}

#[test]
fn checks_without_an_observation_are_not_judged() {
    let no_pod = "no pod of app was observed";
    let no_earlier_pod = "no pod of app before the change was observed";
    let no_endpoints = "no address of service app was observed";
    let faster = "{phase: served, detector: sidecar, than: kubelet, factor: 2}";
    for (check, missing) in [
        (Check::Restarts(vec![]), no_pod),
        (Check::EachRestarted, no_pod),
        (Check::Ready(0), no_pod),
        (Check::Waiting("CrashLoopBackOff".to_owned()), no_pod),
        (Check::Logged(vec![]), no_pod),
        (Check::SamePods, no_earlier_pod),
        (Check::PodsUnchanged, no_earlier_pod),
        (Check::PodsReplaced, no_earlier_pod),
        (Check::Endpoints(vec![]), no_endpoints),
        (Check::EndpointsAtLeast(0), no_endpoints),
        (
            Check::RolledOut(false),
            "no pod of deployment app was observed",
        ),
        (Check::NoFailedRequests, "no request was observed"),
        (
            Check::Faster(serde_saphyr::from_str(faster).unwrap()),
            "not every outage was observed",
        ),
    ] {
        let judged = judge(&check, "app", &Observations::default());
        assert_eq!(
            judged,
            Judgement::NotJudged(missing.to_owned()),
            "{check:?}"
        );
    }
}
