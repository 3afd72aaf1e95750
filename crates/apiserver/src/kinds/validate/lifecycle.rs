//! Validation of lifecycle hooks.

use k8s_openapi::api::core::v1::{Container, LifecycleHandler, Probe};
use probe::{ProbeKind, spec};

use crate::kinds::FieldError;

/// Validates a container's hooks; `grace` is the pod's grace period in seconds.
pub(super) fn validate(container: &Container, grace: i64, path: &str) -> Vec<FieldError> {
    let Some(lifecycle) = &container.lifecycle else {
        return Vec::new();
    };
    let hooks = [
        ("postStart", &lifecycle.post_start),
        ("preStop", &lifecycle.pre_stop),
    ];
    hooks
        .into_iter()
        .filter_map(|(name, hook)| Some((name, hook.as_ref()?)))
        .flat_map(|(name, hook)| validate_hook(hook, grace, &format!("{path}.lifecycle.{name}")))
        .collect()
}

fn validate_hook(hook: &LifecycleHandler, grace: i64, path: &str) -> Vec<FieldError> {
    let as_probe = Probe {
        exec: hook.exec.clone(),
        http_get: hook.http_get.clone(),
        tcp_socket: hook.tcp_socket.clone(),
        ..Probe::default()
    };
    let Some(sleep) = &hook.sleep else {
        return spec::validate(&as_probe, ProbeKind::Liveness, path);
    };
    let field = format!("{path}.sleep");
    if as_probe != Probe::default() {
        let mut errors = spec::validate(&as_probe, ProbeKind::Liveness, path);
        errors.push(FieldError::forbidden(
            field,
            "may not specify more than 1 handler type",
        ));
        return errors;
    }
    if (0..=grace).contains(&sleep.seconds) {
        return Vec::new();
    }
    let detail =
        format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
    vec![FieldError::invalid(
        field,
        sleep.seconds.to_string(),
        detail,
    )]
}
