//! Defaulting and validation of probes, as in the API server. Pure.

use k8s_openapi::api::core::v1::{ExecAction, GRPCAction, HTTPGetAction, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::results::ProbeKind;

pub mod field;
mod timing;

use field::FieldError;
pub use timing::ProbeTiming;

/// Sets the defaults of absent fields. An explicit 0 is treated as absent.
pub fn set_defaults(probe: &mut Probe) {
    for (field, value) in [
        (&mut probe.timeout_seconds, 1),
        (&mut probe.period_seconds, 10),
        (&mut probe.success_threshold, 1),
        (&mut probe.failure_threshold, 3),
    ] {
        if field.is_none_or(|value| value == 0) {
            *field = Some(value);
        }
    }
    if let Some(get) = &mut probe.http_get {
        set_http_get_defaults(get);
    }
    if let Some(grpc) = &mut probe.grpc {
        grpc.service.get_or_insert_default();
    }
}

/// Sets the defaults of path and scheme.
pub fn set_http_get_defaults(get: &mut HTTPGetAction) {
    for (field, value) in [(&mut get.path, "/"), (&mut get.scheme, "HTTP")] {
        if field.as_deref().is_none_or(str::is_empty) {
            *field = Some(value.to_owned());
        }
    }
}

/// Returns the errors of a probe whose field path is `path`, in the order of its fields. Defaults must be set before.
#[must_use]
pub fn validate(probe: &Probe, kind: ProbeKind, path: &str) -> Vec<FieldError> {
    let mut errors = validate_handlers(probe, path);
    for (name, value) in [
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ] {
        errors.extend(field::validate_not_negative(
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
    errors.extend(validate_grace_period(probe, kind, path));
    errors
}

fn validate_grace_period(probe: &Probe, kind: ProbeKind, path: &str) -> Option<FieldError> {
    let seconds = probe.termination_grace_period_seconds?;
    let field = format!("{path}.terminationGracePeriodSeconds");
    if kind == ProbeKind::Readiness {
        let detail = "must not be set for readinessProbes";
        Some(FieldError::invalid(field, seconds.to_string(), detail))
    } else {
        let detail = "must be greater than 0";
        (seconds <= 0).then(|| FieldError::invalid(field, seconds.to_string(), detail))
    }
}

/// Requires exactly one handler, and validates the first.
fn validate_handlers(probe: &Probe, path: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut first = true;
    let field = |name: &str| format!("{path}.{name}");
    let exec = probe.exec.as_ref();
    let get = probe.http_get.as_ref();
    let tcp = probe.tcp_socket.as_ref();
    let grpc = probe.grpc.as_ref();
    for (name, found) in [
        ("exec", exec.map(|exec| validate_exec(exec, &field("exec")))),
        (
            "httpGet",
            get.map(|get| validate_http_get(get, &field("httpGet"))),
        ),
        (
            "tcpSocket",
            tcp.map(|tcp| validate_tcp(tcp, &field("tcpSocket"))),
        ),
        ("grpc", grpc.map(|grpc| validate_grpc(grpc, &field("grpc")))),
    ] {
        let Some(found) = found else {
            continue;
        };
        if std::mem::take(&mut first) {
            errors.extend(found);
        } else {
            let detail = "may not specify more than 1 handler type";
            errors.push(FieldError::forbidden(field(name), detail));
        }
    }
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

fn validate_http_get(get: &HTTPGetAction, path: &str) -> Vec<FieldError> {
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
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if header.name.is_empty() || !header.name.bytes().all(is_allowed) {
            let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            let field = format!("{path}.httpHeaders");
            errors.push(FieldError::invalid(
                field,
                field::quote(&header.name),
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

/// Returns the errors of a port: a number between 1 and 65535, or an IANA service name.
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
            .map(|detail| FieldError::invalid(path, field::quote(name), detail))
            .collect(),
    }
}

/// Returns the rules for port names that `name` breaks.
#[must_use]
pub fn validate_port_name(name: &str) -> Vec<&'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let rules = [
        (name.len() <= 15, "must be no more than 15 characters"),
        (
            !name.is_empty() && name.bytes().all(is_allowed),
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
