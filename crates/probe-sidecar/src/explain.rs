//! Explanation of the effective configuration, as text and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use probe::ResolvedHandler;
use serde_json::{Value, json};

use crate::source::SourceError;
use crate::spec::{Config, Handler, Policy, ProbeSpec, endpoint_name};

/// Returns the worst-case times of detection and recovery.
///
/// In the worst case a fault occurs right after the check of an attempt. Then a period passes, and the attempts up to the
/// threshold; the last one may take its complete timeout. Attempts that outlast their period skip ticks.
#[must_use]
pub fn worst_case(spec: &ProbeSpec) -> (Duration, Duration) {
    let period = spec.period.as_nanos().max(1);
    let ticks = spec.timeout.as_nanos().div_ceil(period).max(1);
    let interval = spec
        .period
        .saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
    let duration = |threshold: u32, last: Duration| {
        let rest = interval.saturating_mul(threshold.saturating_sub(1));
        spec.period.saturating_add(rest).saturating_add(last)
    };
    let recovery =
        interval.saturating_add(duration(spec.success_threshold, spec.timeout)) - spec.period;
    (duration(spec.failure_threshold, spec.timeout), recovery)
}

/// Returns the worst-case time from a fault that cannot be judged (a stalled body, a missing command) to the status
/// unknown, or `None` if the status is disabled.
#[must_use]
pub fn worst_case_unknown(spec: &ProbeSpec) -> Option<Duration> {
    let after = spec.unknown_after?;
    // The last result may come a timeout after the fault; the status needs one more attempt.
    let attempt = spec.period.max(spec.timeout);
    Some(spec.timeout.saturating_add(after.max(attempt)))
}

/// Describes a handler in one line.
#[must_use]
pub fn handler(handler: &Handler) -> String {
    match handler {
        Handler::Kubernetes(ResolvedHandler::Http(get)) | Handler::Http { get, .. } => {
            format!("GET {}", get.url)
        }
        Handler::Kubernetes(ResolvedHandler::Tcp { host, port }) => {
            format!("connect to {host}:{port}")
        }
        Handler::Kubernetes(ResolvedHandler::Exec { command }) | Handler::Exec { command, .. } => {
            format!("run {command:?}")
        }
        Handler::Kubernetes(ResolvedHandler::Grpc {
            host,
            port,
            service,
        }) => format!("gRPC health of {service:?} at {host}:{port}"),
        Handler::Grpc {
            host,
            port,
            service,
            ..
        } => format!("gRPC health of {service:?} at {host}:{port} over TLS"),
        Handler::Unix { path } => format!("connect to {}", path.display()),
        // The connection string may contain a password.
        Handler::Postgres { checks, .. } if checks.is_empty() => "check PostgreSQL".to_owned(),
        Handler::Postgres { checks, .. } => {
            let checks: Vec<String> = checks.iter().map(ToString::to_string).collect();
            format!("check PostgreSQL: {}", checks.join(", "))
        }
    }
}

/// Formats a duration for humans.
pub(crate) fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Explains a configuration as text.
#[must_use]
pub fn text(config: &Config) -> String {
    let mut text = String::new();
    for target in &config.targets {
        let note = if target.dependency {
            " (dependency: not part of the endpoints of the pod)"
        } else {
            ""
        };
        let _ = writeln!(text, "{}{note}", target.name);
        for spec in &target.probes {
            describe(&mut text, &target.name, spec);
        }
    }
    for group in &config.groups {
        let members: Vec<String> = group.members.iter().map(ToString::to_string).collect();
        let policy = match group.policy {
            Policy::Strict => "",
            Policy::FailOpen => "; stays healthy once it was",
        };
        let _ = writeln!(
            text,
            "groups/{}: {} of {}{policy}",
            group.name,
            group.require,
            members.join(", ")
        );
    }
    for action in &config.actions {
        let _ = writeln!(
            text,
            "action {}: when {} becomes {}, {}; at most {} runs in {}, cool-down {}",
            action.name,
            action.source,
            action.becomes.as_str(),
            action.effect,
            action.max_runs,
            time(action.window),
            time(action.cool_down)
        );
    }
    let _ = writeln!(
        text,
        "valid: {} probes of {} targets",
        config.probe_count(),
        config.targets.len()
    );
    text
}

fn describe(text: &mut String, target: &str, spec: &ProbeSpec) {
    let (failure, recovery) = worst_case(spec);
    let unknown = worst_case_unknown(spec).map_or("never unknown".to_owned(), |after| {
        format!(
            "unknown after {} of attempts that cannot be judged",
            time(after)
        )
    });
    let _ = writeln!(
        text,
        "  {} -> {}/{target}: {}\n    period {}, timeout {}, initial delay {}; failure threshold {}, success threshold {}\n    \
         worst-case detection {}, worst-case recovery {}; stale after {} without a finished attempt; {unknown}",
        spec.kind.field(),
        endpoint_name(spec.kind),
        handler(&spec.handler),
        time(spec.period),
        time(spec.timeout),
        time(spec.initial_delay),
        spec.failure_threshold,
        spec.success_threshold,
        time(failure),
        time(recovery),
        time(spec.stale_after),
    );
}

/// Explains a configuration as JSON.
#[must_use]
pub fn json(config: &Config) -> Value {
    let probe = |spec: &ProbeSpec| {
        let (failure, recovery) = worst_case(spec);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        json!({
            "probe": spec.kind.field(),
            "handler": handler(&spec.handler),
            "periodMilliseconds": millis(spec.period),
            "timeoutMilliseconds": millis(spec.timeout),
            "initialDelayMilliseconds": millis(spec.initial_delay),
            "failureThreshold": spec.failure_threshold,
            "successThreshold": spec.success_threshold,
            "staleAfterMilliseconds": millis(spec.stale_after),
            "healthyWhen": spec.healthy_when,
            "worstCaseDetectionMilliseconds": millis(failure),
            "worstCaseRecoveryMilliseconds": millis(recovery),
            "unknownAfterMilliseconds": millis(spec.unknown_after.unwrap_or_default()),
            "worstCaseUnknownMilliseconds": worst_case_unknown(spec).map(millis),
        })
    };
    let targets = config.targets.iter().map(|target| {
        json!({
            "name": target.name,
            "dependency": target.dependency,
            "probes": target.probes.iter().map(probe).collect::<Vec<_>>(),
        })
    });
    let groups = config.groups.iter().map(|group| {
        json!({
            "name": group.name,
            "members": group.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "require": group.require.to_string(),
            "policy": match group.policy { Policy::Strict => "strict", Policy::FailOpen => "failOpen" },
        })
    });
    json!({
        "valid": true,
        "targets": targets.collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "actions": config.actions.iter().map(|action| json!({
            "name": action.name,
            "probe": action.source.to_string(),
            "becomes": action.becomes.as_str(),
            "effect": action.effect.to_string(),
        })).collect::<Vec<_>>(),
    })
}

/// Returns the problems of a configuration as JSON.
#[must_use]
pub fn errors(error: &SourceError) -> Value {
    let problems = match error {
        SourceError::Config(error) => json!(error.problems),
        other => json!([{ "field": "", "message": other.to_string() }]),
    };
    json!({ "valid": false, "problems": problems })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, ParseOptions};

    #[track_caller]
    fn check(fields: &str, failure: u64, recovery: u64) {
        let text =
            format!("targets: [{{name: a, readinessProbe: {{tcpSocket: {{port: 1}}, {fields}}}}}]");
        let config = config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap();
        let (detection, healing) = worst_case(&config.targets[0].probes[0]);
        assert_eq!(
            (detection, healing),
            (
                Duration::from_millis(failure),
                Duration::from_millis(recovery)
            ),
            "{fields}"
        );
    }

    #[test]
    fn worst_case_is_a_fault_right_after_a_check() {
        check("periodSeconds: 10, failureThreshold: 2", 21_000, 11_000);
        check("failureThreshold: 3", 31_000, 11_000);
        check(
            "failureThreshold: 2, extensions: {periodMilliseconds: 100, timeoutMilliseconds: 50}",
            250,
            150,
        );
        check("successThreshold: 2, failureThreshold: 1", 11_000, 21_000);
    }

    #[test]
    fn worst_case_of_slow_attempts_includes_skipped_ticks() {
        check(
            "periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 2",
            7_000,
            6_000,
        );
    }
}
