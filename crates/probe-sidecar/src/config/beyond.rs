//! The part of a probe that Kubernetes has no fields for.

use std::path::Path;
use std::time::Duration;

use pg_ready::check::Check;
use probe::spec::field::FieldError;

use super::Defaults;
use super::document;
use super::problem::Problems;
use crate::spec::{Expect, ExpectHeader, Handler, HeaderValue, HealthyWhen, TlsFiles};

/// The shortest period: less than this and a probe is a load test.
const SHORTEST_PERIOD: i64 = 10;

/// What a probe says beyond Kubernetes' fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Beyond {
    pub(super) period: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) initial_delay: Option<Duration>,
    pub(super) stale_after: Option<Duration>,
    pub(super) healthy_when: HealthyWhen,
    /// A handler of ours, by the name of its field.
    pub(super) handler: Option<(&'static str, Handler)>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) expect: Option<Expect>,
}

impl Beyond {
    pub(super) fn has_handler(&self) -> bool {
        self.handler.is_some()
    }

    /// A field that only makes sense beside a handler of Kubernetes.
    pub(super) fn only_for_others(&self) -> Option<&'static str> {
        self.handler.as_ref()?;
        let tls = self.tls.as_ref().map(|_| "beyond.tls");
        tls.or(self.expect.as_ref().map(|_| "beyond.expect"))
    }
}

pub(super) fn read(
    given: document::Beyond,
    path: &str,
    defaults: Defaults,
    problems: &mut Problems,
) -> Beyond {
    let mut duration = |value: Option<i64>, least: i64, name: &str| {
        at_least(value, least, &format!("{path}.{name}"), problems).map(milliseconds)
    };
    let period = duration(
        given.period_milliseconds,
        SHORTEST_PERIOD,
        "periodMilliseconds",
    );
    let timeout = duration(given.timeout_milliseconds, 1, "timeoutMilliseconds");
    let initial_delay = duration(
        given.initial_delay_milliseconds,
        0,
        "initialDelayMilliseconds",
    );
    let stale_after = duration(
        given.stale_after_milliseconds.or(defaults.stale_after),
        1,
        "staleAfterMilliseconds",
    );
    Beyond {
        period,
        timeout,
        initial_delay,
        stale_after,
        healthy_when: healthy_when(
            given.healthy_when.as_deref(),
            &format!("{path}.healthyWhen"),
            defaults.healthy_when,
            problems,
        ),
        handler: handler(given.unix_socket, given.postgres, path, problems),
        tls: given.tls.map(|given| tls(given, path, problems)),
        expect: given.expect.map(|given| expect(given, path, problems)),
    }
}

fn milliseconds(value: i64) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// A number that is not less than `least`, nor more than Kubernetes' own numbers can be.
pub(super) fn at_least(
    value: Option<i64>,
    least: i64,
    path: &str,
    problems: &mut Problems,
) -> Option<i64> {
    let value = value?;
    let most = i64::from(i32::MAX);
    if (least..=most).contains(&value) {
        return Some(value);
    }
    let detail = format!("must be between {least} and {most}");
    problems.refuse(&FieldError::invalid(path, value.to_string(), detail));
    None
}

pub(super) fn healthy_when(
    given: Option<&[String]>,
    path: &str,
    default: HealthyWhen,
    problems: &mut Problems,
) -> HealthyWhen {
    let Some(given) = given else {
        return default;
    };
    let mut found = HealthyWhen::default();
    for (index, name) in given.iter().enumerate() {
        match name.as_str() {
            "neverRun" => found.never_run = true,
            "stale" => found.stale = true,
            "unknown" => found.unknown = true,
            other => problems.refuse(&FieldError::unsupported(
                format!("{path}[{index}]"),
                other,
                &["neverRun", "stale", "unknown"],
            )),
        }
    }
    found
}

fn handler(
    unix: Option<document::UnixSocket>,
    postgres: Option<document::Postgres>,
    path: &str,
    problems: &mut Problems,
) -> Option<(&'static str, Handler)> {
    if let (Some(_), Some(_)) = (&unix, &postgres) {
        let detail = "may not specify more than 1 handler type";
        problems.refuse(&FieldError::forbidden(format!("{path}.postgres"), detail));
    }
    if let Some(unix) = unix {
        let absolute = unix.path.is_absolute() || begins_with_at(&unix.path);
        if !absolute {
            problems.add(
                format!("{path}.unixSocket.path"),
                format!(
                    "Invalid value: {:?}: must be absolute, or begin with @ for a socket without a file",
                    unix.path
                ),
            );
        }
        return Some(("unixSocket", Handler::Unix { path: unix.path }));
    }
    let handler = self::postgres(postgres?, path, problems);
    Some(("postgres", handler))
}

fn begins_with_at(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"@")
}

fn postgres(given: document::Postgres, path: &str, problems: &mut Problems) -> Handler {
    let mut checks: Vec<Check> = Vec::with_capacity(given.checks.len());
    for (index, check) in given.checks.iter().enumerate() {
        match check.parse() {
            Ok(check) => checks.push(check),
            Err(error) => problems.add(
                format!("{path}.postgres.checks[{index}]"),
                error.to_string(),
            ),
        }
    }
    if let Err(error) = pg_ready::check::validate(&checks) {
        problems.add(format!("{path}.postgres.checks"), error.to_string());
    }
    // Its error does not quote the string, which may hold a password.
    if let Err(error) = pg_ready::Request::parse(&given.conninfo) {
        problems.add(format!("{path}.postgres.conninfo"), error.to_string());
    }
    Handler::Postgres {
        conninfo: given.conninfo,
        checks,
        password_file: given.password_file,
    }
}

pub(super) fn tls(given: document::Tls, path: &str, problems: &mut Problems) -> TlsFiles {
    let client = match (given.cert_file, given.key_file) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) => {
            problems.add(
                format!("{path}.tls.keyFile"),
                "Required value: certFile needs its key",
            );
            None
        }
        (None, Some(_)) => {
            problems.add(
                format!("{path}.tls.certFile"),
                "Required value: keyFile needs its certificate",
            );
            None
        }
    };
    if given.server_name.is_some() && given.ca_file.is_none() {
        let detail = "needs caFile: without it the server's certificate is not looked at";
        problems.refuse(&FieldError::forbidden(
            format!("{path}.tls.serverName"),
            detail,
        ));
    }
    TlsFiles {
        ca: given.ca_file,
        client,
        server_name: given.server_name,
    }
}

fn expect(given: document::Expect, path: &str, problems: &mut Problems) -> Expect {
    let path = format!("{path}.expect");
    for (index, status) in given.statuses.iter().enumerate() {
        if !(100..=599).contains(status) {
            let field = format!("{path}.statuses[{index}]");
            let detail = "must be between 100 and 599";
            problems.refuse(&FieldError::invalid(field, status.to_string(), detail));
        }
    }
    if let Some(expression) = &given.body_matches {
        check_expression(expression, &format!("{path}.bodyMatches"), problems);
    }
    let headers = given
        .headers
        .into_iter()
        .enumerate()
        .map(|(index, header)| {
            let path = format!("{path}.headers[{index}]");
            self::header(header, &path, problems)
        });
    Expect {
        headers: headers.collect(),
        statuses: given.statuses,
        body_contains: given.body_contains,
        body_matches: given.body_matches,
    }
}

fn header(given: document::Header, path: &str, problems: &mut Problems) -> ExpectHeader {
    let value = match (given.value, given.matches) {
        (None, None) => HeaderValue::Present,
        (Some(value), None) => HeaderValue::Is(value),
        (None, Some(expression)) => {
            check_expression(&expression, &format!("{path}.matches"), problems);
            HeaderValue::Matches(expression)
        }
        (Some(_), Some(expression)) => {
            let detail = "may not be set beside value";
            problems.refuse(&FieldError::forbidden(format!("{path}.matches"), detail));
            HeaderValue::Matches(expression)
        }
    };
    ExpectHeader {
        name: given.name,
        value,
    }
}

fn check_expression(expression: &str, path: &str, problems: &mut Problems) {
    if let Err(error) = regex_lite::Regex::new(expression) {
        problems.add(path, format!("Invalid value: {expression:?}: {error}"));
    }
}
