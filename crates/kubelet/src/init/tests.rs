use serde_json::{Value, json};

use super::*;
use crate::test_fixtures::State::{Exited, Failing, NeverRan, Running, Started, StartedAndFailing};
use crate::test_fixtures::{State, with_state};
use ContainerAction::Start;

/// Type of an init container in a test.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Regular,
    Sidecar,
    /// Sidecar with a startup probe.
    ProbedSidecar,
}

use Kind::{ProbedSidecar, Regular, Sidecar};

const NAMES: [&str; 3] = ["0", "1", "2"];

fn init_container(name: &str, kind: Kind) -> Value {
    match kind {
        Regular => json!({"name": name}),
        Sidecar => json!({"name": name, "restartPolicy": "Always"}),
        ProbedSidecar => json!({"name": name, "restartPolicy": "Always", "startupProbe": {}}),
    }
}

/// Returns actions by index, `is_complete` and `failed`.
fn compute(
    policy: &str,
    inits: &[(Kind, State)],
    main: State,
) -> (Vec<(usize, ContainerAction)>, bool, bool) {
    let named = NAMES.into_iter().zip(inits);
    let containers: Vec<Value> = named
        .clone()
        .map(|(name, (kind, _))| init_container(name, *kind))
        .collect();
    let spec = json!({"restartPolicy": policy, "initContainers": containers, "containers": [{"name": "main"}]});
    let spec: PodSpec = serde_json::from_value(spec).unwrap();
    let mut states: Vec<_> = named.map(|(name, (_, state))| (name, *state)).collect();
    states.push(("main", main));
    with_state(&states, |state| {
        let plan = compute_init_actions(&spec, state);
        let index = |container: &Container| container.name.parse().unwrap();
        let actions = plan
            .actions
            .iter()
            .map(|(container, action)| (index(container), *action));
        (actions.collect(), plan.is_complete, plan.failed)
    })
}

/// Checks the plan under the policies `Always` and `OnFailure`.
#[track_caller]
fn check(
    inits: &[(Kind, State)],
    main: State,
    actions: &[(usize, ContainerAction)],
    is_complete: bool,
) {
    for policy in ["Always", "OnFailure"] {
        let expected = (actions.to_vec(), is_complete, false);
        assert_eq!(compute(policy, inits, main), expected, "{policy} {inits:?}");
    }
}

#[test]
fn regular_init_containers_run_one_after_the_other_until_each_succeeds() {
    for (first, second, actions, is_complete) in [
        (NeverRan, NeverRan, vec![(0, Start)], false),
        (Running, NeverRan, vec![], false),
        (Exited(0), NeverRan, vec![(1, Start)], false),
        (Exited(1), NeverRan, vec![(0, Start)], false),
        (Exited(0), Running, vec![], false),
        (Exited(0), Exited(0), vec![], true),
    ] {
        let inits = [(Regular, first), (Regular, second)];
        check(&inits, NeverRan, &actions, is_complete);
    }
    check(&[], NeverRan, &[], true);
}

#[test]
fn regular_init_containers_do_not_run_again_after_a_regular_container() {
    check(&[(Regular, Exited(0))], Running, &[], true);
    let inits = [(Regular, Exited(1)), (Regular, NeverRan)];
    check(&inits, Exited(1), &[], true);
}

#[test]
fn failed_init_container_fails_the_pod_under_the_policy_never() {
    let inits = [
        (Sidecar, Exited(1)),
        (Regular, Exited(3)),
        (Regular, NeverRan),
    ];
    assert_eq!(compute("Never", &inits, NeverRan), (vec![], false, true));
}

#[test]
fn next_init_container_starts_after_the_start_of_a_sidecar() {
    for (sidecar, actions) in [
        ((ProbedSidecar, NeverRan), vec![(0, Start)]),
        ((ProbedSidecar, Running), vec![]),
        ((ProbedSidecar, Started), vec![(1, Start)]),
        ((Sidecar, Running), vec![(1, Start)]),
    ] {
        check(&[sidecar, (Regular, NeverRan)], NeverRan, &actions, false);
    }
    check(&[(ProbedSidecar, Running)], NeverRan, &[], false);
    check(&[(ProbedSidecar, Started)], NeverRan, &[], true);
}

#[test]
fn terminated_sidecar_restarts_at_any_time_under_every_policy() {
    let start: &[_] = &[(0, Start)];
    let initializing = [(Sidecar, Exited(0)), (Regular, Running)];
    check(&initializing, NeverRan, start, false);
    let initialized = [(Sidecar, Exited(1)), (Regular, Exited(0))];
    check(&initialized, Running, start, true);
    check(&[(Sidecar, NeverRan)], Running, start, true);
    let under_never = compute("Never", &[(Sidecar, Exited(0))], Running);
    assert_eq!(under_never, (start.to_vec(), true, false));
}

#[test]
fn failed_probe_restarts_a_sidecar_and_liveness_does_not_block_the_next_container() {
    let kill = |failed_probe| ContainerAction::Kill {
        failed_probe,
        restart: true,
    };
    let next = (Regular, NeverRan);
    check(
        &[(ProbedSidecar, Failing(ProbeKind::Startup)), next],
        NeverRan,
        &[(0, kill(FailedProbe::Startup))],
        false,
    );
    check(
        &[(ProbedSidecar, StartedAndFailing), next],
        NeverRan,
        &[(1, Start), (0, kill(FailedProbe::Liveness))],
        false,
    );
    check(
        &[(ProbedSidecar, StartedAndFailing)],
        Running,
        &[(0, kill(FailedProbe::Liveness))],
        true,
    );
    // A liveness result from before the start does not count.
    check(
        &[(ProbedSidecar, Failing(ProbeKind::Liveness))],
        Running,
        &[],
        true,
    );
}
