//! Restart decisions for terminated containers: the container's restart rules, its restart policy, the pod's policy.

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule, Pod, PodStatus};

/// Returns `true` if `container`, in a pod with `pod_policy`, is restarted after it exited with `exit_code`.
///
/// Not for containers killed after a failed probe: the kubelet restarts those unless the policy is `Never`.
#[must_use]
pub fn should_restart(container: &Container, pod_policy: Option<&str>, exit_code: i32) -> bool {
    let rules = container
        .restart_policy_rules
        .as_deref()
        .unwrap_or_default();
    if rules.iter().any(|rule| matches_exit_code(rule, exit_code)) {
        return true;
    }
    match container.restart_policy.as_deref().or(pod_policy) {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Returns `true` if a restart rule of a terminated container requires that all containers of the pod are restarted.
#[must_use]
pub fn should_restart_all_containers(pod: &Pod, status: &PodStatus) -> bool {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.into_iter().any(|container| {
        let mut statuses = status.container_statuses.iter().flatten();
        let status = statuses.find(|status| status.name == container.name);
        let terminated = status.and_then(|status| status.state.as_ref()?.terminated.as_ref());
        let mut rules = container.restart_policy_rules.iter().flatten();
        terminated.is_some_and(|terminated| {
            let first = rules.find(|rule| matches_exit_code(rule, terminated.exit_code));
            first.is_some_and(|rule| rule.action == "RestartAllContainers")
        })
    })
}

/// Returns `true` if `rule` applies to `exit_code`. Both actions that a rule can have restart the container.
fn matches_exit_code(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    rule.exit_codes.as_ref().is_some_and(|codes| {
        let listed = codes
            .values
            .as_deref()
            .unwrap_or_default()
            .contains(&exit_code);
        match codes.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ContainerRestartRuleOnExitCodes;

    use super::*;

    fn rule(operator: &str, values: &[i32]) -> ContainerRestartRule {
        let exit_codes = ContainerRestartRuleOnExitCodes {
            operator: operator.to_owned(),
            values: Some(values.to_vec()),
        };
        ContainerRestartRule {
            action: "Restart".to_owned(),
            exit_codes: Some(exit_codes),
        }
    }

    #[track_caller]
    fn check(
        own: Option<&str>,
        rules: &[ContainerRestartRule],
        pod: &str,
        code: i32,
        expected: bool,
    ) {
        let container = Container {
            restart_policy: own.map(str::to_owned),
            restart_policy_rules: Some(rules.to_vec()),
            ..Container::default()
        };
        assert_eq!(
            should_restart(&container, Some(pod), code),
            expected,
            "{own:?} {rules:?} {pod} {code}"
        );
    }

    #[test]
    fn restart_rules_precede_the_containers_policy_and_that_the_pods_policy() {
        check(None, &[], "Always", 0, true);
        check(None, &[], "OnFailure", 0, false);
        check(None, &[], "OnFailure", 1, true);
        check(None, &[], "Never", 1, false);
        check(Some("Never"), &[], "Always", 1, false);
        check(Some("Always"), &[], "Never", 0, true);
        check(Some("Never"), &[rule("In", &[42])], "Never", 42, true);
        check(Some("Never"), &[rule("In", &[42])], "Always", 41, false);
        check(Some("Never"), &[rule("NotIn", &[42])], "Never", 41, true);
        check(Some("Never"), &[rule("NotIn", &[42])], "Never", 42, false);
    }
}
