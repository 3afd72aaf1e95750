//! Validation of disruption budgets.

use probe::spec::field::validate_not_negative;
use serde_json::Value;

use super::named;
use crate::kinds::FieldError;

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

pub(in crate::kinds) fn disruption_budget(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = named(new, old);
    let spec = &new["spec"];
    let bounds = ["minAvailable", "maxUnavailable"];
    if bounds.iter().all(|bound| !spec[*bound].is_null()) {
        let detail = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid("spec", spec.to_string(), detail));
    }
    errors.extend(
        bounds
            .iter()
            .flat_map(|bound| amount(&spec[*bound], &format!("spec.{bound}"))),
    );
    let policy = &spec["unhealthyPodEvictionPolicy"];
    let policies = ["AlwaysAllow", "IfHealthyBudget"];
    if let Some(policy) = policy.as_str().filter(|policy| !policies.contains(policy)) {
        let field = "spec.unhealthyPodEvictionPolicy";
        errors.push(FieldError::unsupported(field, policy, &policies));
    }
    errors
}

/// Validates a number, or a percentage of at most 100 %.
fn amount(value: &Value, field: &str) -> Option<FieldError> {
    let Some(text) = value.as_str() else {
        return validate_not_negative(field, value.as_i64());
    };
    let percent = text.strip_suffix('%').filter(|digits| !digits.is_empty());
    let percent = percent.and_then(|digits| digits.parse::<u64>().ok());
    let detail = match percent {
        None => PERCENT,
        Some(101..) => "must not be greater than 100%",
        Some(_) => return None,
    };
    Some(FieldError::invalid(field, format!("{text:?}"), detail))
}
