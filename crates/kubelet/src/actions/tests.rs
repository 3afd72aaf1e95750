use serde_json::{Value, json};

use super::*;
use crate::test_fixtures::State::{
    Exited, ExitedAndFailing, Failing, NeverRan, Running, StartedAndFailing,
};
use crate::test_fixtures::{State, with_state};
use ContainerAction::Start;

const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];

const LIVENESS: State = Failing(ProbeKind::Liveness);
const STARTUP: State = Failing(ProbeKind::Startup);

fn kill(failed_probe: FailedProbe, restart: bool) -> ContainerAction {
    ContainerAction::Kill {
        failed_probe,
        restart,
    }
}

/// Checks the actions on a pod; `None` is [`PodActions::KillPod`].
#[track_caller]
fn check(spec: &Value, states: &[(&str, State)], expected: Option<&[(&str, ContainerAction)]>) {
    let pod_spec: PodSpec = serde_json::from_value(spec.clone()).unwrap();
    let actions = with_state(states, |state| match compute_actions(&pod_spec, state) {
        PodActions::KillPod => None,
        PodActions::Containers(actions) => {
            let actions = actions.into_iter();
            let named = actions.map(|(container, action)| (container.name.clone(), action));
            Some(named.collect::<Vec<_>>())
        }
    });
    let expected = expected.map(|expected| {
        let expected = expected.iter();
        let named = expected.map(|(name, action)| ((*name).to_owned(), *action));
        named.collect::<Vec<_>>()
    });
    assert_eq!(actions, expected, "{spec} {states:?}");
}

/// Checks the action on the container `a` beside a container that keeps running.
#[track_caller]
fn check_container(
    policy: &str,
    mut container: Value,
    state: State,
    expected: Option<ContainerAction>,
) {
    container["name"] = json!("a");
    let spec = json!({"restartPolicy": policy, "containers": [container, {"name": "b"}]});
    let expected: Vec<_> = expected.into_iter().map(|action| ("a", action)).collect();
    check(&spec, &[("a", state), ("b", Running)], Some(&expected));
}

#[test]
fn container_that_never_ran_starts_under_every_policy() {
    for policy in POLICIES {
        check_container(policy, json!({}), NeverRan, Some(Start));
    }
}

#[test]
fn terminated_container_restarts_by_the_pods_policy() {
    for (policy, code, expected) in [
        ("Always", 0, Some(Start)),
        ("Always", 1, Some(Start)),
        ("OnFailure", 0, None),
        ("OnFailure", 1, Some(Start)),
        ("Never", 0, None),
        ("Never", 1, None),
    ] {
        check_container(policy, json!({}), Exited(code), expected);
    }
}

#[test]
fn terminated_container_restarts_by_its_own_policy_and_rules() {
    let own_policy = |policy: &str| json!({"restartPolicy": policy});
    let with_rule = json!({"restartPolicy": "Never", "restartPolicyRules": [
        {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]});
    for (container, policy, code, expected) in [
        (own_policy("Always"), "Never", 0, Some(Start)),
        (own_policy("OnFailure"), "Never", 1, Some(Start)),
        (own_policy("Never"), "Always", 1, None),
        (with_rule.clone(), "Always", 42, Some(Start)),
        (with_rule, "Always", 41, None),
    ] {
        check_container(policy, container, Exited(code), expected);
    }
}

#[test]
fn probe_results_of_a_terminated_container_are_ignored() {
    check_container("Never", json!({}), ExitedAndFailing(137), None);
}

#[test]
fn failed_probe_kills_the_container_and_restarts_it_unless_the_policy_is_never() {
    let liveness = |restart| Some(kill(FailedProbe::Liveness, restart));
    let startup = |restart| Some(kill(FailedProbe::Startup, restart));
    for (policy, container, state, expected) in [
        ("Always", json!({}), Running, None),
        ("Always", json!({}), LIVENESS, liveness(true)),
        ("Always", json!({}), StartedAndFailing, liveness(true)),
        ("Always", json!({}), STARTUP, startup(true)),
        ("OnFailure", json!({}), LIVENESS, liveness(true)),
        ("Never", json!({}), LIVENESS, liveness(false)),
        ("Never", json!({}), STARTUP, startup(false)),
        (
            "Always",
            json!({"restartPolicy": "Never"}),
            LIVENESS,
            liveness(false),
        ),
        (
            "Never",
            json!({"restartPolicy": "Always"}),
            LIVENESS,
            liveness(true),
        ),
    ] {
        check_container(policy, container, state, expected);
    }
}

#[test]
fn pod_is_killed_when_all_regular_containers_are_finished() {
    let spec = |policy: &str| {
        json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "a"}, {"name": "b"}],
        })
    };
    let states = |a, b| [("side", Running), ("a", a), ("b", b)];
    check(&spec("Never"), &states(Exited(0), Exited(1)), None);
    check(&spec("OnFailure"), &states(Exited(0), Exited(0)), None);
    check(&spec("Never"), &states(Exited(0), Running), Some(&[]));
    let restart: &[_] = &[("b", Start)];
    let failed = states(Exited(0), Exited(1));
    check(&spec("OnFailure"), &failed, Some(restart));
}

#[test]
fn pod_is_killed_when_an_init_container_has_failed() {
    let spec = |policy: &str| {
        json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "i"}],
            "containers": [{"name": "a"}],
        })
    };
    check(&spec("Never"), &[("i", Exited(1))], None);
    let restart: &[_] = &[("i", Start)];
    check(&spec("OnFailure"), &[("i", Exited(1))], Some(restart));
}

#[test]
fn regular_containers_start_when_the_init_containers_are_complete() {
    let spec = json!({
        "initContainers": [{"name": "i"}, {"name": "side", "restartPolicy": "Always"}],
        "containers": [{"name": "a"}, {"name": "b"}],
    });
    check(&spec, &[], Some(&[("i", Start)]));
    check(&spec, &[("i", Exited(0))], Some(&[("side", Start)]));
    let complete = [("i", Exited(0)), ("side", Running)];
    check(&spec, &complete, Some(&[("a", Start), ("b", Start)]));
    let crashed = [("i", Exited(0)), ("side", Exited(1)), ("a", Exited(1))];
    let all: &[_] = &[("side", Start), ("a", Start), ("b", Start)];
    check(&spec, &crashed, Some(all));
}

#[test]
fn kill_message_names_the_container_the_probe_and_the_restart() {
    use ContainerType::{Init, Regular};
    for (container_type, failed_probe, restart, expected) in [
        (
            Regular,
            FailedProbe::Liveness,
            true,
            "Container api failed liveness probe, will be restarted",
        ),
        (
            Regular,
            FailedProbe::Startup,
            false,
            "Container api failed startup probe",
        ),
        (
            Init,
            FailedProbe::Liveness,
            true,
            "Init container api failed liveness probe",
        ),
    ] {
        let message = kill_message("api", container_type, failed_probe, restart);
        assert_eq!(message, expected);
    }
}
