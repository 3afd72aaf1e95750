//! Workers on paused time, against a prober that answers what it is told.

use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tokio::time::Instant;

use super::*;
use crate::outcome::{Outcome, ProbeError, Verdict};
use crate::prober::{Action, Target};

mod fixture;

use fixture::*;

use ProbeKind::{Liveness, Readiness, Startup};
use ProbeResult::{Failure, Success, Unknown};

#[tokio::test(start_paused = true)]
async fn a_probe_begins_at_once_and_then_comes_each_period() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    pass(25).await;
    assert_eq!(fixture.asked(), [0, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_result_begins_as_its_kind_says_and_changes_at_the_threshold() {
    let mut fixture =
        Fixture::new(&json!({"readinessProbe": probe("r"), "livenessProbe": probe("l")}));
    pass(1).await;
    let mut told = fixture.told();
    told.sort_by_key(|(kind, ..)| *kind);
    let one = || "1".to_owned();
    assert_eq!(
        told,
        [
            (Liveness, one(), Success),
            (Readiness, one(), Failure),
            (Readiness, one(), Success)
        ]
    );
    fixture.answer(Ok(Verdict::Failure));
    pass(10).await;
    assert_eq!(fixture.told(), [], "one failure of two");
    pass(10).await;
    let mut told = fixture.told();
    told.sort_by_key(|(kind, ..)| *kind);
    assert_eq!(
        told,
        [(Liveness, one(), Failure), (Readiness, one(), Failure)]
    );
}

#[tokio::test(start_paused = true)]
async fn a_liveness_failure_holds_until_there_is_a_new_container() {
    let mut fixture = Fixture::new(&json!({"livenessProbe": probe("l")}));
    fixture.answer(Ok(Verdict::Failure));
    pass(35).await;
    assert_eq!(fixture.asked(), [0, 10]);
    fixture.publish("2", true);
    pass(10).await;
    assert_eq!(fixture.asked(), [0, 10, 40]);
    assert_eq!(
        fixture.manager.result(Liveness, "1"),
        None,
        "the old container's result is forgotten"
    );
    assert_eq!(
        fixture.told().last(),
        Some(&(Liveness, "2".to_owned(), Success))
    );
}

#[tokio::test(start_paused = true)]
async fn until_the_startup_probe_has_succeeded_no_other_runs() {
    let fixture = Fixture::new(&json!({"startupProbe": probe("s"), "livenessProbe": probe("l")}));
    fixture.publish("1", false);
    fixture.answer(Ok(Verdict::Failure));
    pass(1).await;
    assert_eq!(
        (fixture.asked_what(), fixture.manager.result(Startup, "1")),
        (vec!["s".to_owned()], Some(Unknown))
    );
    fixture.answer(Ok(Verdict::Success));
    pass(10).await;
    assert_eq!(fixture.manager.result(Startup, "1"), Some(Success));
    fixture.publish("1", true);
    pass(10).await;
    assert_eq!(
        fixture.asked_what(),
        ["s", "s", "l"],
        "a decided startup probe is asked no more"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_check_waits_for_the_initial_delay_in_whole_seconds() {
    let mut slow = probe("r");
    slow["initialDelaySeconds"] = json!(15);
    let fixture = Fixture::new(&json!({"readinessProbe": slow}));
    pass(31).await;
    assert_eq!(fixture.asked(), [20, 30]);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_tried_three_times_told_once_and_counts_for_nothing() {
    let mut fixture = Fixture::new(&json!({"livenessProbe": probe("l")}));
    fixture.answer(Err(ProbeError::unknown("no such container")));
    pass(25).await;
    assert_eq!(fixture.asked(), [0, 0, 0, 10, 10, 10, 20, 20, 20]);
    assert_eq!(fixture.told(), [(Liveness, "1".to_owned(), Success)]);
    let event =
        "c Unhealthy: Liveness probe errored and resulted in unknown state: no such container";
    assert_eq!(*fixture.events.0.lock().unwrap(), [event; 3]);
}

#[tokio::test(start_paused = true)]
async fn every_failure_and_every_warning_is_told() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    let cases = [
        (Ok(Verdict::Success), None),
        (
            Ok(Verdict::Warning),
            Some("c ProbeWarning: Readiness probe warning: out"),
        ),
        (
            Ok(Verdict::Failure),
            Some("c Unhealthy: Readiness probe failed: out"),
        ),
        (Ok(Verdict::Unknown), None),
        (
            Err(ProbeError::broken_off("EOF")),
            Some("c Unhealthy: Readiness probe errored and resulted in failure state: EOF"),
        ),
    ];
    for (answer, event) in cases {
        fixture.answer(answer);
        pass(10).await;
        let told: Vec<_> = fixture.events.0.lock().unwrap().drain(..).collect();
        assert_eq!(told.last().map(String::as_str), event);
    }
}

#[tokio::test(start_paused = true)]
async fn a_warning_counts_as_success_and_unknown_as_failure() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.answer(Ok(Verdict::Warning));
    pass(1).await;
    assert_eq!(fixture.manager.result(Readiness, "1"), Some(Success));
    fixture.answer(Ok(Verdict::Unknown));
    pass(20).await;
    assert_eq!(fixture.manager.result(Readiness, "1"), Some(Failure));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_container_fails_its_probes_and_ends_them_if_it_stays_so() {
    let mut fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    pass(1).await;
    fixture
        .manager
        .set_status("u", status(ended(0), "1", false));
    pass(10).await;
    assert_eq!(
        fixture.told().last(),
        Some(&(Readiness, "1".to_owned(), Failure))
    );
    assert_eq!(
        (fixture.asked(), fixture.manager.worker_count()),
        (vec![0], 1),
        "it will be restarted"
    );
    let mut pod = fixture.pod.clone();
    pod.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    fixture.manager.remove_pod("u");
    pass(1).await;
    fixture
        .manager
        .set_status("u", status(ended(0), "1", false));
    fixture.manager.add_pod(&pod);
    pass(1).await;
    assert_eq!(fixture.manager.worker_count(), 0, "it will not");
}

#[tokio::test(start_paused = true)]
async fn without_a_container_nothing_is_asked_and_a_pod_at_its_end_ends_its_probes() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.manager.set_status("u", PodStatus::default());
    pass(15).await;
    assert_eq!(
        (fixture.asked().len(), fixture.manager.worker_count()),
        (0, 1)
    );
    let over = PodStatus {
        phase: Some("Succeeded".to_owned()),
        ..PodStatus::default()
    };
    fixture.manager.set_status("u", over);
    pass(10).await;
    assert_eq!(fixture.manager.worker_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_ending_pod_keeps_its_readiness_probes_only() {
    let fixture = Fixture::new(
        &json!({"readinessProbe": probe("r"), "livenessProbe": probe("l"), "startupProbe": probe("s")}),
    );
    pass(1).await;
    fixture.manager.stop_liveness_and_startup(&fixture.pod);
    pass(1).await;
    assert_eq!(
        (
            fixture.manager.worker_count(),
            fixture.manager.result(Liveness, "1")
        ),
        (1, None)
    );
    fixture.manager.remove_pod("u");
    pass(1).await;
    assert_eq!(
        (
            fixture.manager.worker_count(),
            fixture.manager.result(Readiness, "1")
        ),
        (0, None)
    );
}

#[tokio::test(start_paused = true)]
async fn pods_that_are_not_wanted_lose_their_probes() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.manager.cleanup(&HashSet::from(["u".to_owned()]));
    pass(1).await;
    assert_eq!(fixture.manager.worker_count(), 1);
    fixture.manager.cleanup(&HashSet::new());
    pass(1).await;
    assert_eq!(fixture.manager.worker_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn adding_a_pod_again_changes_nothing() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    let mut pod = fixture.pod.clone();
    pod.spec.as_mut().unwrap().containers[0].readiness_probe =
        serde_json::from_value(probe("new")).unwrap();
    fixture.manager.add_pod(&pod);
    pass(1).await;
    assert_eq!(
        (fixture.manager.worker_count(), fixture.asked_what()),
        (1, vec!["r".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn readiness_is_asked_again_at_once_when_the_pod_is_looked_at_unready() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.answer(Ok(Verdict::Failure));
    pass(3).await;
    assert_eq!(fixture.readiness(), (true, false));
    pass(1).await;
    assert_eq!(fixture.asked(), [0, 3]);
    fixture.answer(Ok(Verdict::Success));
    pass(10).await;
    assert_eq!(
        (fixture.asked(), fixture.readiness()),
        (vec![0, 3, 13], (true, true)),
        "the period begins anew"
    );
    pass(1).await;
    assert_eq!(
        fixture.asked().len(),
        3,
        "a ready container is not asked again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_container_without_probes_is_ready_when_it_runs() {
    let fixture = Fixture::new(&json!({}));
    assert_eq!(fixture.readiness(), (true, true));
    let mut stopped = status(ended(0), "1", true);
    fixture
        .manager
        .update_pod_status(&fixture.pod, &mut stopped);
    let container = &stopped.container_statuses.unwrap()[0];
    assert_eq!((container.started, container.ready), (Some(false), false));
}

#[tokio::test(start_paused = true)]
async fn started_is_what_the_startup_probe_says_or_what_was_published_before_it_spoke() {
    let fixture = Fixture::new(&json!({"startupProbe": probe("s")}));
    assert!(
        fixture.readiness().0,
        "published as started, and no result yet"
    );
    fixture.publish("1", false);
    assert!(!fixture.readiness().0);
    pass(1).await;
    assert!(fixture.readiness().0, "the probe succeeded");
}
