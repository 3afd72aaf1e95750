//! What a configuration comes to: for people, and for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use probe::ResolvedHandler;
use serde_json::{Value, json};

use crate::source::SourceError;
use crate::spec::{Config, Handler, Policy, ProbeSpec, endpoint};

/// The longest time from a fault to a probe's verdict, and from the end of the fault to the next.
///
/// A fault may come right after an attempt has looked. Then a period passes, and the attempts that make up the threshold; the
/// last of them may take its whole timeout. Attempts that outlast their period begin at every second tick, or third …
#[must_use]
pub fn worst_case(spec: &ProbeSpec) -> (Duration, Duration) {
    let period = spec.period.as_nanos().max(1);
    let ticks = spec.timeout.as_nanos().div_ceil(period).max(1);
    let apart = spec
        .period
        .saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX));
    let until = |threshold: u32, last: Duration| {
        let rest = apart.saturating_mul(threshold.saturating_sub(1));
        spec.period.saturating_add(rest).saturating_add(last)
    };
    let healed = apart.saturating_add(until(spec.success_threshold, spec.timeout)) - spec.period;
    (until(spec.failure_threshold, spec.timeout), healed)
}

/// What an attempt does, in one line.
#[must_use]
pub fn handler(handler: &Handler) -> String {
    match handler {
        Handler::Kubernetes(ResolvedHandler::Http(get)) | Handler::Http { get, .. } => {
            format!("GET {}", get.url)
        }
        Handler::Kubernetes(ResolvedHandler::Tcp { host, port }) => {
            format!("connect to {host}:{port}")
        }
        Handler::Kubernetes(ResolvedHandler::Exec { command }) => format!("run {command:?}"),
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
        // A connection string may hold a password.
        Handler::Postgres { checks, .. } if checks.is_empty() => "ask PostgreSQL".to_owned(),
        Handler::Postgres { checks, .. } => {
            let checks: Vec<String> = checks.iter().map(ToString::to_string).collect();
            format!("ask PostgreSQL for {}", checks.join(", "))
        }
    }
}

/// A duration for people.
pub(crate) fn time(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// For people.
#[must_use]
pub fn text(config: &Config) -> String {
    let mut text = String::new();
    for target in &config.targets {
        let whose = if target.dependency {
            " (a dependency: only in its own endpoints and in groups)"
        } else {
            ""
        };
        let _ = writeln!(text, "{}{whose}", target.name);
        for spec in &target.probes {
            describe(&mut text, &target.name, spec);
        }
    }
    for group in &config.groups {
        let members: Vec<String> = group.members.iter().map(ToString::to_string).collect();
        let held = match group.policy {
            Policy::Strict => "",
            Policy::FailOpen => "; healthy for good once it was",
        };
        let _ = writeln!(
            text,
            "groups/{}: {} of {}{held}",
            group.name,
            group.require,
            members.join(", ")
        );
    }
    for action in &config.actions {
        let when = if action.becomes {
            "healthy"
        } else {
            "unhealthy"
        };
        let _ = writeln!(
            text,
            "action {}: when {}/{} becomes {when}, {}; at most {} times in {}, {} apart",
            action.name,
            endpoint(action.kind),
            action.target,
            action.deed,
            action.most,
            time(action.window),
            time(action.cool_down)
        );
    }
    let _ = writeln!(
        text,
        "{} probes of {} targets, in order",
        config.probes(),
        config.targets.len()
    );
    text
}

fn describe(text: &mut String, target: &str, spec: &ProbeSpec) {
    let (failure, recovery) = worst_case(spec);
    let _ = writeln!(
        text,
        "  {} -> {}/{target}: {}\n    every {}, within {}, first after {}; failure threshold {}, success threshold {}\n    \
         a failure is reported after at most {}, its end after at most {}; without a result for {} it is stale, or unknown \
         if attempts cannot be judged (a stall inside a body, a command that does not exist)",
        spec.kind.field(),
        endpoint(spec.kind),
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

/// For scripts.
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
            "worstCaseUnknownMilliseconds": millis(spec.stale_after),
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
            "probe": format!("{}/{}", endpoint(action.kind), action.target),
            "becomes": if action.becomes { "healthy" } else { "unhealthy" },
            "deed": action.deed.to_string(),
        })).collect::<Vec<_>>(),
    })
}

/// What is wrong, for scripts.
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
    use crate::config::{self, Surroundings};

    #[track_caller]
    fn check(fields: &str, failure: u64, recovery: u64) {
        let text =
            format!("targets: [{{name: a, readinessProbe: {{tcpSocket: {{port: 1}}, {fields}}}}}]");
        let config = config::parse("c", text.as_bytes(), &Surroundings::default()).unwrap();
        let (found, healed) = worst_case(&config.targets[0].probes[0]);
        assert_eq!(
            (found, healed),
            (
                Duration::from_millis(failure),
                Duration::from_millis(recovery)
            ),
            "{fields}"
        );
    }

    #[test]
    fn the_worst_case_is_a_fault_right_after_an_attempt_that_looked() {
        check("periodSeconds: 10, failureThreshold: 2", 21_000, 11_000);
        check("failureThreshold: 3", 31_000, 11_000);
        check(
            "failureThreshold: 2, beyond: {periodMilliseconds: 100, timeoutMilliseconds: 50}",
            250,
            150,
        );
        check("successThreshold: 2, failureThreshold: 1", 11_000, 21_000);
    }

    #[test]
    fn attempts_that_outlast_their_period_skip_ticks() {
        check(
            "periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 2",
            7_000,
            6_000,
        );
    }
}
