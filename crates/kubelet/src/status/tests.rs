use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::instance::{InstanceExit, StatusReason};
use crate::test_fixtures;

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(policy: &str, names: &[&str]) -> Pod {
    let containers: Vec<_> = names
        .iter()
        .map(|name| json!({"name": name, "image": "i"}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"name": "p", "generation": 3},
        "spec": {"restartPolicy": policy, "containers": containers},
    }))
    .unwrap()
}

fn instance(attempt: u32, exit: Option<i32>) -> Instance {
    Instance {
        started_at: timestamp(10),
        exit: exit.map(|code| InstanceExit {
            code,
            signal: None,
            at: timestamp(20),
        }),
        ..test_fixtures::instance(attempt)
    }
}

fn history(exit: Option<i32>) -> ContainerHistory {
    ContainerHistory {
        current: Some(instance(0, exit)),
        ..ContainerHistory::default()
    }
}

fn observed(names: &[&str], histories: &[ContainerHistory]) -> Observed {
    let names = names.iter().map(|name| (*name).to_owned());
    Observed {
        containers: names.zip(histories.iter().cloned()).collect(),
        ..Observed::default()
    }
}

#[track_caller]
fn check_phase(policy: &str, histories: &[ContainerHistory], expected: &str) {
    let names = ["a", "b"];
    let pod = pod(policy, &names[..histories.len()]);
    assert_eq!(phase(&pod, &observed(&names, histories)), expected);
}

#[test]
fn phase_depends_on_the_containers_and_the_restart_policy() {
    check_phase("Always", &[ContainerHistory::default()], "Pending");
    check_phase(
        "Always",
        &[history(None), ContainerHistory::default()],
        "Pending",
    );
    check_phase("Always", &[history(None)], "Running");
    check_phase("Always", &[history(Some(0))], "Running");
    check_phase("OnFailure", &[history(Some(1))], "Running");
    check_phase("OnFailure", &[history(Some(0))], "Succeeded");
    check_phase("Never", &[history(Some(0)), history(Some(0))], "Succeeded");
    check_phase("Never", &[history(Some(0)), history(Some(1))], "Failed");
    check_phase("Never", &[history(Some(0)), history(None)], "Running");
}

/// Returns a pod with a regular init container `i`, a sidecar `s` and a container `a`.
fn with_inits(policy: &str) -> Pod {
    let mut pod = pod(policy, &["a"]);
    let inits = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
    pod.spec.as_mut().unwrap().init_containers = serde_json::from_value(inits).unwrap();
    pod
}

#[track_caller]
fn check_init_phase(policy: &str, histories: &[ContainerHistory; 3], expected: &str) {
    let observed = observed(&["i", "s", "a"], histories);
    assert_eq!(phase(&with_inits(policy), &observed), expected);
}

#[test]
fn pod_is_pending_until_its_regular_containers_run_and_terminal_after_its_last_sidecar() {
    let new = ContainerHistory::default;
    check_init_phase("Always", &[history(None), new(), new()], "Pending");
    check_init_phase("Always", &[history(Some(1)), new(), new()], "Pending");
    check_init_phase("OnFailure", &[history(Some(1)), new(), new()], "Pending");
    check_init_phase("Never", &[history(Some(1)), new(), new()], "Failed");
    check_init_phase(
        "Never",
        &[history(Some(1)), history(None), new()],
        "Pending",
    );
    let done = history(Some(0));
    check_init_phase("Never", &[done.clone(), history(None), new()], "Pending");
    check_init_phase(
        "Never",
        &[done.clone(), history(None), history(None)],
        "Running",
    );
    check_init_phase(
        "Never",
        &[done.clone(), history(None), history(Some(0))],
        "Running",
    );
    // The exit code of a sidecar is ignored.
    check_init_phase(
        "Never",
        &[done.clone(), history(Some(137)), done.clone()],
        "Succeeded",
    );
    check_init_phase(
        "OnFailure",
        &[done, history(Some(0)), history(Some(1))],
        "Running",
    );
}

#[test]
fn conditions_name_incomplete_init_containers_and_unready_sidecars() {
    let pod = with_inits("Always");
    let observed = Observed::default();
    let mut partial = container_statuses(&pod, &observed);
    let reasons = |statuses: &Option<Vec<ContainerStatus>>| {
        let waiting =
            |status: &ContainerStatus| status.state.as_ref()?.waiting.as_ref()?.reason.clone();
        statuses.iter().flatten().map(waiting).collect::<Vec<_>>()
    };
    let initializing = || Some("PodInitializing".to_owned());
    assert_eq!(reasons(&partial.container_statuses), [initializing()]);
    let both = [initializing(), initializing()];
    assert_eq!(reasons(&partial.init_container_statuses), both);
    let status = build_status(&pod, &observed, partial.clone(), "10.0.0.1", timestamp(5));
    let initialized = find(&status, "Initialized");
    assert_eq!(
        initialized.reason.as_deref(),
        Some("ContainersNotInitialized")
    );
    let named = "containers with incomplete status: [i s]";
    assert_eq!(initialized.message.as_deref(), Some(named));
    let unready = "containers with unready status: [s a]";
    assert_eq!(find(&status, "Ready").message.as_deref(), Some(unready));

    let inits = partial.init_container_statuses.as_mut().unwrap();
    inits[0].ready = true;
    inits[1].started = Some(true);
    let status = build_status(&pod, &observed, partial, "10.0.0.1", timestamp(5));
    assert_eq!(find(&status, "Initialized").status, "True");
}

#[test]
fn terminal_phase_does_not_change() {
    let mut pod = pod("Always", &["a"]);
    pod.status = Some(PodStatus {
        phase: Some("Failed".into()),
        ..PodStatus::default()
    });
    assert_eq!(phase(&pod, &observed(&["a"], &[history(None)])), "Failed");
}

#[test]
fn restarted_container_has_its_previous_exit_as_last_state() {
    let history = ContainerHistory {
        previous: Some(instance(0, Some(137))),
        current: Some(instance(1, None)),
        waiting: None,
    };
    let status = container_status("a", "i", &history, "ContainerCreating");
    assert_eq!(status.restart_count, 1);
    assert_eq!(
        status.state.unwrap().running.unwrap().started_at,
        Some(Time(timestamp(10)))
    );
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("Error"))
    );
    assert_eq!(last.container_id.as_deref(), Some("selfheal://c0"));
}

#[test]
fn container_in_back_off_is_waiting_with_its_exit_as_last_state() {
    let waiting = Some(StatusReason::new("CrashLoopBackOff", "back-off 10s"));
    let history = ContainerHistory {
        current: Some(instance(4, Some(0))),
        previous: Some(instance(3, Some(1))),
        waiting,
    };
    let status = container_status("a", "i", &history, "ContainerCreating");
    assert_eq!(
        status.state.unwrap().waiting.unwrap().reason.as_deref(),
        Some("CrashLoopBackOff")
    );
    assert_eq!(
        status
            .last_state
            .unwrap()
            .terminated
            .unwrap()
            .reason
            .as_deref(),
        Some("Completed")
    );
    assert_eq!(status.restart_count, 4);
}

fn ready_statuses(ready: &[bool]) -> PodStatus {
    let status = |(name, ready): (&str, &bool)| ContainerStatus {
        name: name.into(),
        ready: *ready,
        ..Default::default()
    };
    PodStatus {
        container_statuses: Some(["a", "b"].into_iter().zip(ready).map(status).collect()),
        ..PodStatus::default()
    }
}

fn find<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    status
        .conditions
        .as_ref()
        .unwrap()
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap()
}

#[test]
fn unready_container_is_named_by_both_conditions() {
    let pod = pod("Always", &["a", "b"]);
    let status = build_status(
        &pod,
        &Observed::default(),
        ready_statuses(&[true, false]),
        "10.0.0.1",
        timestamp(5),
    );
    for kind in ["Ready", "ContainersReady"] {
        let condition = find(&status, kind);
        assert_eq!(condition.status, "False");
        assert_eq!(
            condition.message.as_deref(),
            Some("containers with unready status: [b]")
        );
        assert_eq!(condition.observed_generation, Some(3));
    }
    assert_eq!(find(&status, "PodReadyToStartContainers").status, "False");
}

#[test]
fn transition_time_changes_only_with_the_status() {
    let mut pod = pod("Always", &["a"]);
    let observed = Observed {
        ip: Some(Ipv4Addr::LOCALHOST),
        ..Observed::default()
    };
    pod.status = Some(build_status(
        &pod,
        &observed,
        ready_statuses(&[true]),
        "10.0.0.1",
        timestamp(5),
    ));
    let status = build_status(
        &pod,
        &observed,
        ready_statuses(&[false]),
        "10.0.0.1",
        timestamp(9),
    );
    assert_eq!(
        find(&status, "Ready").last_transition_time,
        Some(Time(timestamp(9)))
    );
    assert_eq!(
        find(&status, "PodScheduled").last_transition_time,
        Some(Time(timestamp(5)))
    );
}

#[test]
fn missing_readiness_gate_is_not_ready_and_foreign_conditions_are_kept() {
    let mut pod = pod("Always", &["a"]);
    let gates = json!([{"conditionType": "x"}, {"conditionType": "y"}]);
    pod.spec.as_mut().unwrap().readiness_gates = serde_json::from_value(gates).unwrap();
    let other = PodCondition {
        type_: "y".into(),
        status: "False".into(),
        ..Default::default()
    };
    pod.status = Some(PodStatus {
        conditions: Some(vec![other.clone()]),
        ..PodStatus::default()
    });
    let status = build_status(
        &pod,
        &Observed::default(),
        ready_statuses(&[true]),
        "10.0.0.1",
        timestamp(5),
    );
    let ready = find(&status, "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ReadinessGatesNotReady"));
    let expected = "corresponding condition of pod readiness gate \"x\" does not exist., \
                    the status of pod readiness gate \"y\" is not \"True\", but False";
    assert_eq!(ready.message.as_deref(), Some(expected));
    assert_eq!(find(&status, "y"), &other);
}

#[test]
fn termination_messages_of_a_pod_are_truncated_to_a_total_length() {
    let with_message = |text: &str| ContainerHistory {
        current: Some(Instance {
            message: Some(text.to_owned()),
            ..instance(1, Some(1))
        }),
        previous: Some(Instance {
            message: Some("before".to_owned()),
            ..instance(0, Some(1))
        }),
        ..ContainerHistory::default()
    };
    let long = "€".repeat(5000);
    let observed = observed(&["a", "b"], &[with_message(&long), with_message("b")]);
    let status = container_statuses(&pod("Always", &["a", "b"]), &observed);
    let statuses = status.container_statuses.unwrap();
    let message = |state: &Option<ContainerState>| {
        let terminated = state.as_ref().unwrap().terminated.clone();
        terminated.unwrap().message.unwrap()
    };
    // Half of 12 KiB, in whole characters of three bytes.
    assert_eq!(message(&statuses[0].state), "€".repeat(2048));
    assert_eq!(message(&statuses[1].state), "b");
    assert_eq!(message(&statuses[1].last_state), "before");
}
