use container_runtime::{ContainerId, Image};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::instance::{Exited, Waiting};

fn at(second: i64) -> Timestamp {
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
        id: ContainerId(format!("c{attempt}")),
        attempt,
        image: Image {
            reference: "i".into(),
            id: "sha".into(),
            entrypoint: vec![],
            cmd: vec![],
            env: vec![],
            stop_signal: None,
        },
        started_at: at(10),
        exit: exit.map(|code| Exited {
            code,
            signal: None,
            at: at(20),
        }),
        message: None,
    }
}

fn record(exit: Option<i32>) -> Record {
    Record {
        current: Some(instance(0, exit)),
        ..Record::default()
    }
}

fn observed(names: &[&str], records: &[Record]) -> Observed {
    let names = names.iter().map(|name| (*name).to_owned());
    Observed {
        containers: names.zip(records.iter().cloned()).collect(),
        ..Observed::default()
    }
}

#[track_caller]
fn check_phase(policy: &str, records: &[Record], expected: &str) {
    let names = ["a", "b"];
    let pod = pod(policy, &names[..records.len()]);
    assert_eq!(phase(&pod, &observed(&names, records)), expected);
}

#[test]
fn the_phase_follows_the_containers_and_the_policy() {
    check_phase("Always", &[Record::default()], "Pending");
    check_phase("Always", &[record(None), Record::default()], "Pending");
    check_phase("Always", &[record(None)], "Running");
    check_phase("Always", &[record(Some(0))], "Running");
    check_phase("OnFailure", &[record(Some(1))], "Running");
    check_phase("OnFailure", &[record(Some(0))], "Succeeded");
    check_phase("Never", &[record(Some(0)), record(Some(0))], "Succeeded");
    check_phase("Never", &[record(Some(0)), record(Some(1))], "Failed");
    check_phase("Never", &[record(Some(0)), record(None)], "Running");
}

/// A pod with a plain init container `i`, a sidecar `s` and a container `a`.
fn with_inits(policy: &str) -> Pod {
    let mut pod = pod(policy, &["a"]);
    let inits = json!([{"name": "i"}, {"name": "s", "restartPolicy": "Always"}]);
    pod.spec.as_mut().unwrap().init_containers = serde_json::from_value(inits).unwrap();
    pod
}

#[track_caller]
fn check_init_phase(policy: &str, records: &[Record; 3], expected: &str) {
    let observed = observed(&["i", "s", "a"], records);
    assert_eq!(phase(&with_inits(policy), &observed), expected);
}

#[test]
fn a_pod_is_pending_until_its_own_containers_run_and_ends_with_its_last_sidecar() {
    let new = Record::default;
    check_init_phase("Always", &[record(None), new(), new()], "Pending");
    check_init_phase("Always", &[record(Some(1)), new(), new()], "Pending");
    check_init_phase("OnFailure", &[record(Some(1)), new(), new()], "Pending");
    check_init_phase("Never", &[record(Some(1)), new(), new()], "Failed");
    check_init_phase("Never", &[record(Some(1)), record(None), new()], "Pending");
    let done = record(Some(0));
    check_init_phase("Never", &[done.clone(), record(None), new()], "Pending");
    check_init_phase(
        "Never",
        &[done.clone(), record(None), record(None)],
        "Running",
    );
    check_init_phase(
        "Never",
        &[done.clone(), record(None), record(Some(0))],
        "Running",
    );
    // How a sidecar ended does not matter.
    check_init_phase(
        "Never",
        &[done.clone(), record(Some(137)), done.clone()],
        "Succeeded",
    );
    check_init_phase(
        "OnFailure",
        &[done, record(Some(0)), record(Some(1))],
        "Running",
    );
}

#[test]
fn init_containers_that_are_not_over_are_named_and_sidecars_have_to_be_ready_too() {
    let pod = with_inits("Always");
    let observed = Observed::default();
    let mut partial = containers(&pod, &observed);
    let reasons = |statuses: &Option<Vec<ContainerStatus>>| {
        let waiting =
            |status: &ContainerStatus| status.state.as_ref()?.waiting.as_ref()?.reason.clone();
        statuses.iter().flatten().map(waiting).collect::<Vec<_>>()
    };
    let at_first = || Some("PodInitializing".to_owned());
    assert_eq!(reasons(&partial.container_statuses), [at_first()]);
    let both = [at_first(), at_first()];
    assert_eq!(reasons(&partial.init_container_statuses), both);
    let status = complete(&pod, &observed, partial.clone(), "10.0.0.1", at(5));
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
    let status = complete(&pod, &observed, partial, "10.0.0.1", at(5));
    assert_eq!(find(&status, "Initialized").status, "True");
}

#[test]
fn a_terminal_phase_stays() {
    let mut pod = pod("Always", &["a"]);
    pod.status = Some(PodStatus {
        phase: Some("Failed".into()),
        ..PodStatus::default()
    });
    assert_eq!(phase(&pod, &observed(&["a"], &[record(None)])), "Failed");
}

#[test]
fn a_restarted_container_shows_its_last_end() {
    let record = Record {
        previous: Some(instance(0, Some(137))),
        current: Some(instance(1, None)),
        waiting: None,
    };
    let status = container("a", "i", &record, "ContainerCreating");
    assert_eq!(status.restart_count, 1);
    assert_eq!(
        status.state.unwrap().running.unwrap().started_at,
        Some(Time(at(10)))
    );
    let last = status.last_state.unwrap().terminated.unwrap();
    assert_eq!(
        (last.exit_code, last.reason.as_deref()),
        (137, Some("Error"))
    );
    assert_eq!(last.container_id.as_deref(), Some("selfheal://c0"));
}

#[test]
fn a_container_in_back_off_waits_and_keeps_its_end_as_the_last_state() {
    let waiting = Some(Waiting::new("CrashLoopBackOff", "back-off 10s"));
    let record = Record {
        current: Some(instance(4, Some(0))),
        previous: Some(instance(3, Some(1))),
        waiting,
    };
    let status = container("a", "i", &record, "ContainerCreating");
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
fn an_unready_container_is_named_by_both_conditions() {
    let pod = pod("Always", &["a", "b"]);
    let status = complete(
        &pod,
        &Observed::default(),
        ready_statuses(&[true, false]),
        "10.0.0.1",
        at(5),
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
fn a_transition_time_moves_only_with_the_status() {
    let mut pod = pod("Always", &["a"]);
    let observed = Observed {
        ip: Some(Ipv4Addr::LOCALHOST),
        ..Observed::default()
    };
    pod.status = Some(complete(
        &pod,
        &observed,
        ready_statuses(&[true]),
        "10.0.0.1",
        at(5),
    ));
    let status = complete(&pod, &observed, ready_statuses(&[false]), "10.0.0.1", at(9));
    assert_eq!(
        find(&status, "Ready").last_transition_time,
        Some(Time(at(9)))
    );
    assert_eq!(
        find(&status, "PodScheduled").last_transition_time,
        Some(Time(at(5)))
    );
}

#[test]
fn a_missing_gate_is_not_ready_and_another_owners_condition_is_kept() {
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
    let status = complete(
        &pod,
        &Observed::default(),
        ready_statuses(&[true]),
        "10.0.0.1",
        at(5),
    );
    let ready = find(&status, "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ReadinessGatesNotReady"));
    let expected = "corresponding condition of pod readiness gate \"x\" does not exist., \
                    the status of pod readiness gate \"y\" is not \"True\", but False";
    assert_eq!(ready.message.as_deref(), Some(expected));
    assert_eq!(find(&status, "y"), &other);
}

#[test]
fn what_a_pods_containers_say_of_their_ends_is_bounded_together() {
    let said = |text: &str| Record {
        current: Some(Instance {
            message: Some(text.to_owned()),
            ..instance(1, Some(1))
        }),
        previous: Some(Instance {
            message: Some("before".to_owned()),
            ..instance(0, Some(1))
        }),
        ..Record::default()
    };
    let long = "€".repeat(5000);
    let observed = observed(&["a", "b"], &[said(&long), said("b")]);
    let status = containers(&pod("Always", &["a", "b"]), &observed);
    let statuses = status.container_statuses.unwrap();
    let message = |state: &Option<ContainerState>| {
        let ended = state.as_ref().unwrap().terminated.clone();
        ended.unwrap().message.unwrap()
    };
    // Half of 12 KiB, in whole letters of three bytes.
    assert_eq!(message(&statuses[0].state), "€".repeat(2048));
    assert_eq!(message(&statuses[1].state), "b");
    assert_eq!(message(&statuses[1].last_state), "before");
}
