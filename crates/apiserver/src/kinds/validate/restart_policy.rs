//! Validates `restartPolicy` and `restartPolicyRules` of a regular container (upstream's `validateContainerRestartPolicy`).

use k8s_openapi::api::core::v1::{Container, ContainerRestartRule};

use crate::kinds::FieldError;

const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
/// Actions of a rule that this node executes; upstream has `RestartAllContainers` as well.
const ACTIONS: [&str; 1] = ["Restart"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

pub(super) fn validate(container: &Container, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let rules = container
        .restart_policy_rules
        .as_deref()
        .unwrap_or_default();
    let field = format!("{path}.restartPolicy");
    match container.restart_policy.as_deref() {
        None if !rules.is_empty() => errors.push(FieldError::required(
            field,
            "must specify restartPolicy when restart rules are used",
        )),
        Some(policy) if !POLICIES.contains(&policy) => {
            errors.push(FieldError::unsupported(field, policy, &POLICIES));
        }
        _ => {}
    }
    let path = format!("{path}.restartPolicyRules");
    errors.extend(at_most(&path, rules.len(), MAX_RULES));
    for (index, rule) in rules.iter().enumerate() {
        errors.extend(validate_rule(rule, &format!("{path}[{index}]")));
    }
    errors
}

fn validate_rule(rule: &ContainerRestartRule, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !ACTIONS.contains(&rule.action.as_str()) {
        let field = format!("{path}.action");
        errors.push(FieldError::unsupported(field, &rule.action, &ACTIONS));
    }
    let path = format!("{path}.exitCodes");
    let Some(exit_codes) = &rule.exit_codes else {
        errors.push(FieldError::required(path, "must be specified"));
        return errors;
    };
    let operator = exit_codes.operator.as_str();
    if !OPERATORS.contains(&operator) {
        let field = format!("{path}.operator");
        errors.push(FieldError::unsupported(field, operator, &OPERATORS));
    }
    let count = exit_codes.values.as_deref().unwrap_or_default().len();
    errors.extend(at_most(&format!("{path}.values"), count, MAX_EXIT_CODES));
    errors
}

fn at_most(field: &str, count: usize, max: usize) -> Option<FieldError> {
    (count > max).then(|| {
        let detail = format!("must have at most {max} items");
        FieldError::invalid(field, count.to_string(), detail)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(policy: Option<&str>, rules: &[Value], expected: &[&str]) {
        let container = json!({"name": "c", "restartPolicy": policy, "restartPolicyRules": rules});
        let container: Container = serde_json::from_value(container).unwrap();
        let errors: Vec<_> = validate(&container, "c")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(errors, expected, "{policy:?} {rules:?}");
    }

    fn rule(action: &str, operator: &str, values: &[i32]) -> Value {
        json!({"action": action, "exitCodes": {"operator": operator, "values": values}})
    }

    #[test]
    fn restart_policies_and_rules_are_validated() {
        let valid = rule("Restart", "NotIn", &[1, 2]);
        check(None, &[], &[]);
        check(Some("Never"), std::slice::from_ref(&valid), &[]);
        check(
            None,
            std::slice::from_ref(&valid),
            &[
                "c.restartPolicy: Required value: must specify restartPolicy when restart rules are used",
            ],
        );
        check(
            Some("Sometimes"),
            &[],
            &[
                "c.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            ],
        );
        check(
            Some("Never"),
            &[
                rule("RestartAllContainers", "In", &[1]),
                rule("Restart", "Exists", &[1]),
                json!({"action": "Restart"}),
            ],
            &[
                "c.restartPolicyRules[0].action: Unsupported value: \"RestartAllContainers\": supported values: \"Restart\"",
                "c.restartPolicyRules[1].exitCodes.operator: Unsupported value: \"Exists\": supported values: \"In\", \"NotIn\"",
                "c.restartPolicyRules[2].exitCodes: Required value: must be specified",
            ],
        );
        check(
            Some("Never"),
            &vec![valid; 21],
            &["c.restartPolicyRules: Invalid value: 21: must have at most 20 items"],
        );
        let codes: Vec<i32> = (0..256).collect();
        check(
            Some("Never"),
            &[rule("Restart", "In", &codes)],
            &[
                "c.restartPolicyRules[0].exitCodes.values: Invalid value: 256: must have at most 255 items",
            ],
        );
    }
}
