//! Parser of `extensions`: settings of a probe that Kubernetes has no fields for.

use std::path::Path;
use std::time::Duration;

use pg_ready::check::Check;
use probe::spec::field::FieldError;

use super::Defaults;
use super::document;
use super::problem::Problems;
use crate::spec::{Expect, ExpectHeader, Handler, HeaderValue, HealthyWhen, TlsFiles};

/// Minimum period; a shorter one would be a load test.
const MIN_PERIOD_MILLISECONDS: i64 = 10;

/// Extensions of a probe.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbeExtensions {
    pub(super) period: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) initial_delay: Option<Duration>,
    pub(super) jitter: Option<Duration>,
    pub(super) stale_after: Option<Duration>,
    /// Zero means never.
    pub(super) unknown_after: Option<Duration>,
    pub(super) healthy_when: HealthyWhen,
    /// Handler that Kubernetes does not have, with the name of its field.
    pub(super) handler: Option<(&'static str, Handler)>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) expect: Option<Expect>,
}

impl ProbeExtensions {
    pub(super) fn has_handler(&self) -> bool {
        self.handler.is_some()
    }

    /// Returns a field that is valid only together with a handler of Kubernetes.
    pub(super) fn misplaced_field(&self) -> Option<&'static str> {
        self.handler.as_ref()?;
        let tls = self.tls.as_ref().map(|_| "extensions.tls");
        tls.or(self.expect.as_ref().map(|_| "extensions.expect"))
    }
}

pub(super) fn read(
    given: document::ProbeExtensions,
    path: &str,
    defaults: Defaults,
    problems: &mut Problems,
) -> ProbeExtensions {
    let mut duration = |value: Option<i64>, min: i64, name: &str| {
        in_range(value, min, &format!("{path}.{name}"), problems).map(milliseconds)
    };
    let period = duration(
        given.period_milliseconds,
        MIN_PERIOD_MILLISECONDS,
        "periodMilliseconds",
    );
    let timeout = duration(given.timeout_milliseconds, 1, "timeoutMilliseconds");
    let initial_delay = duration(
        given.initial_delay_milliseconds,
        0,
        "initialDelayMilliseconds",
    );
    let jitter = duration(given.jitter_milliseconds, 0, "jitterMilliseconds");
    let stale_after = duration(
        given.stale_after_milliseconds.or(defaults.stale_after),
        1,
        "staleAfterMilliseconds",
    );
    let unknown_after = duration(
        given.unknown_after_milliseconds.or(defaults.unknown_after),
        0,
        "unknownAfterMilliseconds",
    );
    ProbeExtensions {
        period,
        timeout,
        initial_delay,
        jitter,
        stale_after,
        unknown_after,
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

/// Checks that a number is at least `min` and at most the maximum of Kubernetes' numbers, `i32::MAX`.
pub(super) fn in_range(
    value: Option<i64>,
    min: i64,
    path: &str,
    problems: &mut Problems,
) -> Option<i64> {
    let value = value?;
    let max = i64::from(i32::MAX);
    if (min..=max).contains(&value) {
        return Some(value);
    }
    let detail = format!("must be between {min} and {max}");
    problems.push_field_error(&FieldError::invalid(path, value.to_string(), detail));
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
            other => problems.push_field_error(&FieldError::unsupported(
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
        problems.push_field_error(&FieldError::forbidden(format!("{path}.postgres"), detail));
    }
    if let Some(unix) = unix {
        let is_valid = unix.path.is_absolute() || is_abstract(&unix.path);
        if !is_valid {
            problems.push(
                format!("{path}.unixSocket.path"),
                format!(
                    "Invalid value: {:?}: must be absolute, or start with @ for an abstract socket",
                    unix.path
                ),
            );
        }
        return Some(("unixSocket", Handler::Unix { path: unix.path }));
    }
    let handler = self::postgres(postgres?, path, problems);
    Some(("postgres", handler))
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"@")
}

fn postgres(given: document::Postgres, path: &str, problems: &mut Problems) -> Handler {
    let mut checks: Vec<Check> = Vec::with_capacity(given.checks.len());
    for (index, check) in given.checks.iter().enumerate() {
        match check.parse() {
            Ok(check) => checks.push(check),
            Err(error) => problems.push(
                format!("{path}.postgres.checks[{index}]"),
                error.to_string(),
            ),
        }
    }
    if let Err(error) = pg_ready::check::validate(&checks) {
        problems.push(format!("{path}.postgres.checks"), error.to_string());
    }
    // The error does not quote the string, which may contain a password.
    if let Err(error) = pg_ready::Request::parse(&given.conninfo) {
        problems.push(format!("{path}.postgres.conninfo"), error.to_string());
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
            problems.push(
                format!("{path}.tls.keyFile"),
                "Required value: certFile needs its key",
            );
            None
        }
        (None, Some(_)) => {
            problems.push(
                format!("{path}.tls.certFile"),
                "Required value: keyFile needs its certificate",
            );
            None
        }
    };
    if given.server_name.is_some() && given.ca_file.is_none() {
        let detail = "requires caFile: without it the certificate of the server is not verified";
        problems.push_field_error(&FieldError::forbidden(
            format!("{path}.tls.serverName"),
            detail,
        ));
    }
    let field = format!("{path}.tls.minDaysLeft");
    let min_days_left = in_range(given.min_days_left, 1, &field, problems);
    TlsFiles {
        min_days_left: min_days_left.and_then(|days| u32::try_from(days).ok()),
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
            problems.push_field_error(&FieldError::invalid(field, status.to_string(), detail));
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
        (Some(value), None) => HeaderValue::Equals(value),
        (None, Some(expression)) => {
            check_expression(&expression, &format!("{path}.matches"), problems);
            HeaderValue::Matches(expression)
        }
        (Some(_), Some(expression)) => {
            let detail = "may not be set beside value";
            problems.push_field_error(&FieldError::forbidden(format!("{path}.matches"), detail));
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
        problems.push(path, format!("Invalid value: {expression:?}: {error}"));
    }
}
