//! Parser of targets: their probes, and the extensions of probes.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar, Probe};
use probe::expand::expand;
use probe::spec::field::{ErrorClass, FieldError};
use probe::{ProbeKind, ResolvedHandler, handler, spec};
use serde_json::Value;

use super::document;
use super::extensions::{self, ProbeExtensions};
use super::problem::Problems;
use super::typed::{Fields, report_unknown_fields, typed};
use super::{Defaults, ParseOptions, check_name, field};
use crate::attempt::Attempt;
use crate::spec::{Handler, ProbeSpec, TargetSpec};

pub(super) fn read(
    target: document::Target,
    path: &str,
    options: &ParseOptions,
    defaults: Defaults,
    problems: &mut Problems,
) -> TargetSpec {
    check_name(&target.name, &format!("{path}.name"), problems);
    let env = environment(&target.env, path, problems);
    let port = |port: document::ContainerPort| ContainerPort {
        name: port.name,
        container_port: port.container_port,
        ..ContainerPort::default()
    };
    let ports = target.ports.into_iter().map(port).collect();
    let variable = |variable: document::EnvVar| EnvVar {
        name: variable.name,
        value: variable.value,
        value_from: None,
    };
    let variables = target.env.into_iter().map(variable).collect();
    let context = TargetContext {
        host: without_brackets(target.host.as_deref().unwrap_or(&options.host)),
        check_files: options.check_files,
        container: Container {
            name: target.name.clone(),
            ports: Some(ports),
            env: Some(variables),
            ..Container::default()
        },
        defaults,
        env,
        is_dependency: target.dependency,
    };
    let found = [
        (ProbeKind::Startup, target.startup_probe),
        (ProbeKind::Liveness, target.liveness_probe),
        (ProbeKind::Readiness, target.readiness_probe),
    ];
    let given = found.iter().filter(|(_, value)| value.is_some()).count();
    let mut probes = Vec::with_capacity(given);
    for (kind, value) in found {
        let path = format!("{path}.{}", field(kind));
        probes.extend(value.and_then(|value| context.probe(kind, value, &path, problems)));
    }
    if given == 0 {
        problems.push(
            path,
            "Required value: a target needs a livenessProbe, readinessProbe or startupProbe",
        );
    }
    TargetSpec {
        name: target.name,
        dependency: target.dependency,
        probes,
    }
}

/// Returns the environment of commands. As in the kubelet, a value may refer to variables before it.
fn environment(
    variables: &[document::EnvVar],
    path: &str,
    problems: &mut Problems,
) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::with_capacity(variables.len());
    for (index, variable) in variables.iter().enumerate() {
        if variable.value_from.is_some() {
            let field = format!("{path}.env[{index}].valueFrom");
            let detail = "not supported: the sidecar has no access to the Kubernetes API";
            problems.push_field_error(&FieldError::forbidden(field, detail));
        }
        let known = |name: &str| {
            let mut known = env.iter().rev();
            known.find_map(|(known, value)| (known == name).then(|| value.clone()))
        };
        let value = expand(variable.value.as_deref().unwrap_or_default(), known);
        env.push((variable.name.clone(), value));
    }
    env
}

/// Fields of Kubernetes' type `Probe`, which ignores unknown ones. A test compares them with the type.
pub(super) const PROBE_FIELDS: Fields = &[
    ("exec", &[("command", &[])]),
    ("failureThreshold", &[]),
    ("grpc", &[("port", &[]), ("service", &[])]),
    (
        "httpGet",
        &[
            ("host", &[]),
            ("httpHeaders", &["name", "value"]),
            ("path", &[]),
            ("port", &[]),
            ("scheme", &[]),
        ],
    ),
    ("initialDelaySeconds", &[]),
    ("periodSeconds", &[]),
    ("successThreshold", &[]),
    ("tcpSocket", &[("host", &[]), ("port", &[])]),
    ("terminationGracePeriodSeconds", &[]),
    ("timeoutSeconds", &[]),
];

/// Context in which names of a probe are resolved.
struct TargetContext<'a> {
    host: &'a str,
    container: Container,
    defaults: Defaults,
    /// Environment of commands.
    env: Vec<(String, String)>,
    is_dependency: bool,
    check_files: bool,
}

impl TargetContext<'_> {
    /// Parses a probe. Returns `None` if it has problems, which are recorded.
    fn probe(
        &self,
        kind: ProbeKind,
        mut value: Value,
        path: &str,
        problems: &mut Problems,
    ) -> Option<ProbeSpec> {
        let before = problems.len();
        let extensions = value
            .as_object_mut()
            .and_then(|fields| fields.remove("extensions"));
        report_unknown_fields(&value, PROBE_FIELDS, path, problems);
        let probe = typed::<Probe>(value, path, problems);
        let given = match extensions {
            Some(value) => typed(value, &format!("{path}.extensions"), problems)?,
            None => document::ProbeExtensions::default(),
        };
        let extensions = extensions::read(
            given,
            &format!("{path}.extensions"),
            self.defaults,
            problems,
        );
        let mut probe = probe?;
        strip_brackets(&mut probe);
        spec::set_defaults(&mut probe);
        for error in spec::validate(&probe, kind, path) {
            if !(extensions.has_handler() && is_missing_handler(&error, path)) {
                problems.push_field_error(&error);
            }
        }
        if problems.len() > before {
            return None;
        }
        let handler = self.handler(&probe, extensions.clone(), path, problems);
        if let Some(handler) = handler.as_ref().filter(|_| self.check_files) {
            check_files(handler, path, problems);
        }
        if problems.len() > before {
            return None;
        }
        Some(self.assemble(kind, &probe, &extensions, handler?))
    }

    fn handler(
        &self,
        probe: &Probe,
        extensions: ProbeExtensions,
        path: &str,
        problems: &mut Problems,
    ) -> Option<Handler> {
        let kubernetes = probe.exec.is_some()
            || probe.http_get.is_some()
            || probe.tcp_socket.is_some()
            || probe.grpc.is_some();
        let misplaced = extensions.misplaced_field();
        if let Some((name, handler)) = extensions.handler {
            if kubernetes {
                let field = format!("{path}.extensions.{name}");
                let detail = "may not specify more than 1 handler type";
                problems.push_field_error(&FieldError::forbidden(field, detail));
            }
            if let Some(field) = misplaced {
                let detail = "may be set for httpGet and grpc only";
                problems
                    .push_field_error(&FieldError::forbidden(format!("{path}.{field}"), detail));
            }
            return Some(handler);
        }
        if !kubernetes {
            return None;
        }
        let action = match handler::resolve(probe, &self.container, self.host) {
            Ok(action) => action,
            Err(error) => {
                problems.push(port_field(probe, path), error.to_string());
                return None;
            }
        };
        let action = match action {
            ResolvedHandler::Exec { command } if !self.env.is_empty() => {
                let env = self.env.clone();
                return Some(Handler::Exec { command, env });
            }
            action => action,
        };
        Some(with_extensions(
            action,
            extensions.tls,
            extensions.expect,
            path,
            problems,
        ))
    }
}

/// Combines a handler of Kubernetes with extensions.
fn with_extensions(
    action: ResolvedHandler,
    tls: Option<crate::spec::TlsFiles>,
    expect: Option<crate::spec::Expect>,
    path: &str,
    problems: &mut Problems,
) -> Handler {
    let mut forbid = |field: &str, detail: &str| {
        problems.push_field_error(&FieldError::forbidden(
            format!("{path}.extensions.{field}"),
            detail,
        ));
    };
    match (action, tls, expect) {
        (action, None, None) => Handler::Kubernetes(action),
        (ResolvedHandler::Http(get), tls, expect) => {
            if tls.is_some() && !get.url.starts_with("https:") {
                forbid("tls", "needs scheme: HTTPS");
            }
            Handler::Http {
                get,
                tls,
                expect: expect.unwrap_or_default(),
            }
        }
        (
            ResolvedHandler::Grpc {
                host,
                port,
                service,
            },
            Some(tls),
            None,
        ) => Handler::Grpc {
            host,
            port,
            service,
            tls,
        },
        (action, tls, expect) => {
            if expect.is_some() {
                forbid("expect", "may be set for httpGet only");
            }
            if tls.is_some() && !matches!(action, ResolvedHandler::Grpc { .. }) {
                forbid("tls", "may be set for httpGet and grpc only");
            }
            Handler::Kubernetes(action)
        }
    }
}

/// Removes the brackets of an IPv6 address, which are not part of a host.
fn without_brackets(host: &str) -> &str {
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    address
        .filter(|address| address.contains(':'))
        .unwrap_or(host)
}

fn strip_brackets(probe: &mut Probe) {
    let http = probe.http_get.as_mut().and_then(|get| get.host.as_mut());
    let tcp = probe.tcp_socket.as_mut();
    let tcp = tcp.and_then(|socket| socket.host.as_mut());
    for host in [http, tcp].into_iter().flatten() {
        *host = without_brackets(host).to_owned();
    }
}

/// Reads the files that a handler names.
fn check_files(handler: &Handler, path: &str, problems: &mut Problems) {
    if let Handler::Postgres {
        password_file: Some(file),
        ..
    } = handler
        && let Err(error) = std::fs::File::open(file)
    {
        let message = format!("cannot read {}: {error}", file.display());
        problems.push(format!("{path}.extensions.postgres.passwordFile"), message);
    }
    if let Err(error) = Attempt::build(handler) {
        problems.push(format!("{path}.extensions.tls"), error.message());
    }
}

fn is_missing_handler(error: &FieldError, path: &str) -> bool {
    error.class == ErrorClass::Required && error.field == path
}

/// Returns the field with the port of the handler: only ports can fail to resolve.
fn port_field(probe: &Probe, path: &str) -> String {
    let handler = if probe.http_get.is_some() {
        "httpGet"
    } else if probe.tcp_socket.is_some() {
        "tcpSocket"
    } else {
        "grpc"
    };
    format!("{path}.{handler}.port")
}

impl TargetContext<'_> {
    fn assemble(
        &self,
        kind: ProbeKind,
        probe: &Probe,
        extensions: &ProbeExtensions,
        handler: Handler,
    ) -> ProbeSpec {
        let seconds = |value: Option<i32>| {
            Duration::from_secs(
                value
                    .and_then(|value| u64::try_from(value).ok())
                    .unwrap_or(0),
            )
        };
        let threshold = |value: Option<i32>| {
            value
                .and_then(|value| u32::try_from(value).ok())
                .unwrap_or(1)
        };
        let period = extensions
            .period
            .unwrap_or_else(|| seconds(probe.period_seconds));
        let timeout = extensions
            .timeout
            .unwrap_or_else(|| seconds(probe.timeout_seconds));
        // Dependencies are shared by many pods, which start together.
        let default_jitter = if self.is_dependency {
            period
        } else {
            Duration::ZERO
        };
        let failure_threshold = threshold(probe.failure_threshold);
        let unknown_after = extensions
            .unknown_after
            .unwrap_or_else(|| period.saturating_mul(failure_threshold));
        ProbeSpec {
            kind,
            handler,
            period,
            timeout,
            initial_delay: extensions
                .initial_delay
                .unwrap_or_else(|| seconds(probe.initial_delay_seconds)),
            jitter: extensions.jitter.unwrap_or(default_jitter),
            success_threshold: threshold(probe.success_threshold),
            failure_threshold,
            stale_after: extensions
                .stale_after
                .unwrap_or_else(|| (3 * period).saturating_add(timeout)),
            unknown_after: Some(unknown_after).filter(|time| !time.is_zero()),
            healthy_when: extensions.healthy_when,
        }
    }
}
