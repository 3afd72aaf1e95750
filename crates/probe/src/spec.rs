//! A probe as the API server takes it: what it fills in, and what it refuses. Pure.

use k8s_openapi::api::core::v1::{ExecAction, GRPCAction, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::results::ProbeKind;

pub mod field;

use field::FieldError;

/// Fills in what is absent. An explicit 0 counts as absent, as the API server has it.
pub fn default(probe: &mut Probe) {
    for (field, value) in [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ] {
        if field.is_none_or(|given| given == 0) {
            *field = Some(value);
        }
    }
    if let Some(get) = &mut probe.http_get {
        default_get(get);
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

/// Fills in what a GET does not say.
pub fn default_get(get: &mut HTTPGetAction) {
    for (field, value) in [(&mut get.path, "/"), (&mut get.scheme, "HTTP")] {
        if field.as_deref().is_none_or(str::is_empty) {
            *field = Some(value.to_owned());
        }
    }
}

/// What is wrong with a probe at `path`, in the order of its fields.
#[must_use]
pub fn validate(probe: &Probe, kind: ProbeKind, path: &str) -> Vec<FieldError> {
    let mut errors = handlers(probe, path);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.extend(field::not_negative(
            format!("{path}.{name}"),
            value.map(i64::from),
        ));
    }
    if kind != ProbeKind::Readiness
        && let Some(threshold) = probe.success_threshold.filter(|threshold| *threshold != 1)
    {
        let field = format!("{path}.successThreshold");
        errors.push(FieldError::invalid(
            field,
            threshold.to_string(),
            "must be 1",
        ));
    }
    errors.extend(grace(probe, kind, path));
    errors
}

fn grace(probe: &Probe, kind: ProbeKind, path: &str) -> Option<FieldError> {
    let grace = probe.termination_grace_period_seconds?;
    let field = format!("{path}.terminationGracePeriodSeconds");
    if kind == ProbeKind::Readiness {
        let detail = "must not be set for readinessProbes";
        Some(FieldError::invalid(field, grace.to_string(), detail))
    } else {
        let detail = "must be greater than 0";
        (grace <= 0).then(|| FieldError::invalid(field, grace.to_string(), detail))
    }
}

/// Exactly one handler, and what is wrong with it.
fn handlers(probe: &Probe, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut first = true;
    let mut each = |name: &str, found: Option<Vec<FieldError>>| {
        let Some(found) = found else {
            return;
        };
        if std::mem::take(&mut first) {
            errors.extend(found);
        } else {
            let field = format!("{path}.{name}");
            errors.push(FieldError::forbidden(
                field,
                "may not specify more than 1 handler type",
            ));
        }
    };
    let at = |name: &str| format!("{path}.{name}");
    each(
        "exec",
        probe
            .exec
            .as_ref()
            .map(|exec| validate_exec(exec, &at("exec"))),
    );
    each(
        "httpGet",
        probe
            .http_get
            .as_ref()
            .map(|get| validate_get(get, &at("httpGet"))),
    );
    each(
        "tcpSocket",
        probe
            .tcp_socket
            .as_ref()
            .map(|tcp| validate_tcp(tcp, &at("tcpSocket"))),
    );
    each(
        "grpc",
        probe
            .grpc
            .as_ref()
            .map(|grpc| validate_grpc(grpc, &at("grpc"))),
    );
    if first {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
    errors
}

fn validate_exec(exec: &ExecAction, path: &str) -> Vec<FieldError> {
    if exec.command.as_ref().is_none_or(Vec::is_empty) {
        vec![FieldError::required(format!("{path}.command"), "")]
    } else {
        Vec::new()
    }
}

fn validate_get(get: &HTTPGetAction, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if get.path.as_deref().is_none_or(str::is_empty) {
        errors.push(FieldError::required(format!("{path}.path"), ""));
    }
    errors.extend(validate_port(&get.port, &format!("{path}.port")));
    let scheme = get.scheme.as_deref().unwrap_or_default();
    if !matches!(scheme, "HTTP" | "HTTPS") {
        let field = format!("{path}.scheme");
        errors.push(FieldError::unsupported(field, scheme, &["HTTP", "HTTPS"]));
    }
    for header in get.http_headers.iter().flatten() {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if header.name.is_empty() || !header.name.bytes().all(plain) {
            let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            let field = format!("{path}.httpHeaders");
            errors.push(FieldError::invalid(
                field,
                field::quoted(&header.name),
                detail,
            ));
        }
    }
    errors
}

fn validate_tcp(tcp: &TCPSocketAction, path: &str) -> Vec<FieldError> {
    validate_port(&tcp.port, &format!("{path}.port"))
}

fn validate_grpc(grpc: &GRPCAction, path: &str) -> Vec<FieldError> {
    let port = IntOrString::Int(grpc.port);
    validate_port(&port, &format!("{path}.port"))
}

/// A number in range, or a name as IANA writes them.
#[must_use]
pub fn validate_port(port: &IntOrString, path: &str) -> Vec<FieldError> {
    match port {
        IntOrString::Int(number) if (1..=65_535).contains(number) => Vec::new(),
        IntOrString::Int(number) => {
            let detail = "must be between 1 and 65535, inclusive";
            vec![FieldError::invalid(path, number.to_string(), detail)]
        }
        IntOrString::String(name) => validate_port_name(name)
            .into_iter()
            .map(|detail| FieldError::invalid(path, field::quoted(name), detail))
            .collect(),
    }
}

/// Which of the rules for port names a name breaks.
#[must_use]
pub fn validate_port_name(name: &str) -> Vec<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let rules = [
        (name.len() <= 15, "must be no more than 15 characters"),
        (
            !name.is_empty() && name.bytes().all(plain),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            name.bytes().any(|byte| byte.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (!name.contains("--"), "must not contain consecutive hyphens"),
        (
            !name.starts_with('-') && !name.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ];
    let broken = rules.into_iter().filter(|(holds, _)| !holds);
    broken.map(|(_, detail)| detail).collect()
}

#[cfg(test)]
mod tests;
