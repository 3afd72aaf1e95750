//! Workers on paused time, with a prober whose results the tests set.

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
use crate::prober::{ProbeTarget, ResolvedHandler};

mod fixture;

use fixture::*;

use ProbeKind::{Liveness, Readiness, Startup};
use ProbeResult::{Failure, Success, Unknown};

#[tokio::test(start_paused = true)]
async fn worker_probes_immediately_and_then_once_per_period() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    advance(25).await;
    assert_eq!(fixture.probe_times(), [0, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn result_is_initialized_by_kind_and_changes_at_the_threshold() {
    let mut fixture =
        Fixture::new(&json!({"readinessProbe": probe("r"), "livenessProbe": probe("l")}));
    advance(1).await;
    let mut updates = fixture.take_updates();
    updates.sort_by_key(|(kind, ..)| *kind);
    let id = || "1".to_owned();
    assert_eq!(
        updates,
        [
            (Liveness, id(), Success),
            (Readiness, id(), Failure),
            (Readiness, id(), Success)
        ]
    );
    fixture.set_result(Ok(Verdict::Failure));
    advance(10).await;
    assert_eq!(fixture.take_updates(), [], "one failure of two");
    advance(10).await;
    let mut updates = fixture.take_updates();
    updates.sort_by_key(|(kind, ..)| *kind);
    assert_eq!(
        updates,
        [(Liveness, id(), Failure), (Readiness, id(), Failure)]
    );
}

#[tokio::test(start_paused = true)]
async fn liveness_failure_holds_until_there_is_a_new_container() {
    let mut fixture = Fixture::new(&json!({"livenessProbe": probe("l")}));
    fixture.set_result(Ok(Verdict::Failure));
    advance(35).await;
    assert_eq!(fixture.probe_times(), [0, 10]);
    fixture.publish("2", true);
    advance(10).await;
    assert_eq!(fixture.probe_times(), [0, 10, 40]);
    assert_eq!(
        fixture.manager.result(Liveness, "1"),
        None,
        "the result of the old container is removed"
    );
    assert_eq!(
        fixture.take_updates().last(),
        Some(&(Liveness, "2".to_owned(), Success))
    );
}

#[tokio::test(start_paused = true)]
async fn other_probes_wait_for_the_startup_probe() {
    let fixture = Fixture::new(&json!({"startupProbe": probe("s"), "livenessProbe": probe("l")}));
    fixture.publish("1", false);
    fixture.set_result(Ok(Verdict::Failure));
    advance(1).await;
    assert_eq!(
        (
            fixture.probed_commands(),
            fixture.manager.result(Startup, "1")
        ),
        (vec!["s".to_owned()], Some(Unknown))
    );
    fixture.set_result(Ok(Verdict::Success));
    advance(10).await;
    assert_eq!(fixture.manager.result(Startup, "1"), Some(Success));
    fixture.publish("1", true);
    advance(10).await;
    assert_eq!(
        fixture.probed_commands(),
        ["s", "s", "l"],
        "a startup probe that has succeeded does not run again"
    );
}

#[tokio::test(start_paused = true)]
async fn first_attempt_waits_for_the_initial_delay_in_whole_seconds() {
    let mut slow = probe("r");
    slow["initialDelaySeconds"] = json!(15);
    let fixture = Fixture::new(&json!({"readinessProbe": slow}));
    advance(31).await;
    assert_eq!(fixture.probe_times(), [20, 30]);
}

#[tokio::test(start_paused = true)]
async fn error_is_retried_twice_recorded_once_and_not_counted() {
    let mut fixture = Fixture::new(&json!({"livenessProbe": probe("l")}));
    fixture.set_result(Err(ProbeError::unknown("no such container")));
    advance(25).await;
    assert_eq!(fixture.probe_times(), [0, 0, 0, 10, 10, 10, 20, 20, 20]);
    assert_eq!(
        fixture.take_updates(),
        [(Liveness, "1".to_owned(), Success)]
    );
    let event =
        "c Unhealthy: Liveness probe errored and resulted in unknown state: no such container";
    assert_eq!(*fixture.events.0.lock().unwrap(), [event; 3]);
}

#[tokio::test(start_paused = true)]
async fn every_failure_and_warning_is_an_event() {
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
            Err(ProbeError::interrupted("EOF")),
            Some("c Unhealthy: Readiness probe errored and resulted in failure state: EOF"),
        ),
    ];
    for (result, event) in cases {
        fixture.set_result(result);
        advance(10).await;
        let events: Vec<_> = fixture.events.0.lock().unwrap().drain(..).collect();
        assert_eq!(events.last().map(String::as_str), event);
    }
}

#[tokio::test(start_paused = true)]
async fn warning_counts_as_success_and_unknown_as_failure() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.set_result(Ok(Verdict::Warning));
    advance(1).await;
    assert_eq!(fixture.manager.result(Readiness, "1"), Some(Success));
    fixture.set_result(Ok(Verdict::Unknown));
    advance(20).await;
    assert_eq!(fixture.manager.result(Readiness, "1"), Some(Failure));
}

#[tokio::test(start_paused = true)]
async fn terminated_container_fails_and_its_worker_exits_unless_it_is_restarted() {
    let mut fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    advance(1).await;
    fixture
        .manager
        .set_status("u", status(terminated(0), "1", false));
    advance(10).await;
    assert_eq!(
        fixture.take_updates().last(),
        Some(&(Readiness, "1".to_owned(), Failure))
    );
    assert_eq!(
        (fixture.probe_times(), fixture.manager.worker_count()),
        (vec![0], 1),
        "the container will be restarted"
    );
    let mut pod = fixture.pod.clone();
    pod.spec.as_mut().unwrap().restart_policy = Some("Never".to_owned());
    fixture.manager.remove_pod("u");
    advance(1).await;
    fixture
        .manager
        .set_status("u", status(terminated(0), "1", false));
    fixture.manager.add_pod(&pod);
    advance(1).await;
    assert_eq!(
        fixture.manager.worker_count(),
        0,
        "the container will not be restarted"
    );
}

#[tokio::test(start_paused = true)]
async fn missing_container_is_not_probed_and_completed_pod_stops_its_workers() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.manager.set_status("u", PodStatus::default());
    advance(15).await;
    assert_eq!(
        (fixture.probe_times().len(), fixture.manager.worker_count()),
        (0, 1)
    );
    let completed = PodStatus {
        phase: Some("Succeeded".to_owned()),
        ..PodStatus::default()
    };
    fixture.manager.set_status("u", completed);
    advance(10).await;
    assert_eq!(fixture.manager.worker_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn pod_being_deleted_keeps_only_its_readiness_probes() {
    let fixture = Fixture::new(
        &json!({"readinessProbe": probe("r"), "livenessProbe": probe("l"), "startupProbe": probe("s")}),
    );
    advance(1).await;
    fixture.manager.stop_liveness_and_startup(&fixture.pod);
    advance(1).await;
    assert_eq!(
        (
            fixture.manager.worker_count(),
            fixture.manager.result(Liveness, "1")
        ),
        (1, None)
    );
    fixture.manager.remove_pod("u");
    advance(1).await;
    assert_eq!(
        (
            fixture.manager.worker_count(),
            fixture.manager.result(Readiness, "1")
        ),
        (0, None)
    );
}

#[tokio::test(start_paused = true)]
async fn cleanup_stops_the_probes_of_undesired_pods() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture
        .manager
        .cleanup_pods(&HashSet::from(["u".to_owned()]));
    advance(1).await;
    assert_eq!(fixture.manager.worker_count(), 1);
    fixture.manager.cleanup_pods(&HashSet::new());
    advance(1).await;
    assert_eq!(fixture.manager.worker_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn pod_added_twice_keeps_its_first_probes() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    let mut pod = fixture.pod.clone();
    pod.spec.as_mut().unwrap().containers[0].readiness_probe =
        serde_json::from_value(probe("new")).unwrap();
    fixture.manager.add_pod(&pod);
    advance(1).await;
    assert_eq!(
        (fixture.manager.worker_count(), fixture.probed_commands()),
        (1, vec!["r".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn readiness_is_probed_immediately_when_an_unready_status_is_published() {
    let fixture = Fixture::new(&json!({"readinessProbe": probe("r")}));
    fixture.set_result(Ok(Verdict::Failure));
    advance(3).await;
    assert_eq!(fixture.readiness(), (true, false));
    advance(1).await;
    assert_eq!(fixture.probe_times(), [0, 3]);
    fixture.set_result(Ok(Verdict::Success));
    advance(10).await;
    assert_eq!(
        (fixture.probe_times(), fixture.readiness()),
        (vec![0, 3, 13], (true, true)),
        "the period starts again"
    );
    advance(1).await;
    assert_eq!(
        fixture.probe_times().len(),
        3,
        "a ready container is not probed again"
    );
}

#[tokio::test(start_paused = true)]
async fn running_container_without_probes_is_ready() {
    let fixture = Fixture::new(&json!({}));
    assert_eq!(fixture.readiness(), (true, true));
    let mut stopped = status(terminated(0), "1", true);
    fixture
        .manager
        .update_pod_status(&fixture.pod, &mut stopped);
    let container = &stopped.container_statuses.unwrap()[0];
    assert_eq!((container.started, container.ready), (Some(false), false));
}

#[tokio::test(start_paused = true)]
async fn started_is_the_startup_result_or_the_published_value_before_it() {
    let fixture = Fixture::new(&json!({"startupProbe": probe("s")}));
    assert!(
        fixture.readiness().0,
        "published as started, and no result yet"
    );
    fixture.publish("1", false);
    assert!(!fixture.readiness().0);
    advance(1).await;
    assert!(fixture.readiness().0, "the startup probe has succeeded");
}
