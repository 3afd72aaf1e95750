//! The extensions to `pg_isready`: checks, `--wait`, JSON output, and a command to execute once the server is ready.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::options::{Options, OutputFormat, UsageError};
use super::{CliOutcome, Invocation};
use crate::ping_status::PingStatus;
use crate::report::Report;
use crate::request::{DEFAULT_TIMEOUT, Request};
use crate::wait::{parse_duration, wait_until_ready};

/// Timeout of the last attempt of `--wait` if the limit leaves less time for it.
const MIN_LAST_ATTEMPT: Duration = Duration::from_millis(50);

/// Version of the JSON output, incremented by a change that is not an addition.
const JSON_FORMAT_VERSION: u32 = 1;

/// Output of `--output=json`.
#[derive(Serialize)]
struct JsonReport<'a> {
    format_version: u32,
    #[serde(flatten)]
    report: &'a Report,
    exit_code: u8,
    attempts: u32,
}

pub(super) fn run(
    invocation: &Invocation<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<CliOutcome> {
    let (report, attempts) = match request(invocation) {
        Ok(request) => check_or_wait(invocation, &request, err)?,
        Err(reason) => {
            writeln!(err, "{}: error: {reason}", invocation.program)?;
            (Report::no_attempt(reason), 0)
        }
    };
    if !invocation.options.quiet {
        print_report(invocation, &report, attempts, out)?;
    }
    let command = &invocation.options.command;
    if report.ping_status == PingStatus::Ok && !command.is_empty() {
        return Ok(CliOutcome::Exec(command.clone()));
    }
    Ok(CliOutcome::Status(exit_status(invocation, &report)))
}

fn request(invocation: &Invocation<'_>) -> Result<Request, String> {
    let options = &invocation.options;
    let request = invocation.request().map_err(|error| error.to_string())?;
    let timeout = options
        .attempt_timeout()
        .map_err(|error| error.to_string())?;
    Ok(request
        .with_checks(options.checks.clone())
        .with_timeout(timeout))
}

/// Makes one attempt, or retries for the duration of `--wait`; returns the last report and the number of attempts.
fn check_or_wait(
    invocation: &Invocation<'_>,
    request: &Request,
    err: &mut impl Write,
) -> io::Result<(Report, u32)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (err, attempts) = (RefCell::new(err), RefCell::new(0));
    let attempt = |left: Option<Duration>| {
        *attempts.borrow_mut() += 1;
        let timeout = match (request.timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        };
        let request = request.clone().with_timeout(timeout);
        async move { crate::check(&request).await }
    };
    let on_retry = |report: &Report, left: Duration| {
        if !invocation.options.quiet {
            let (program, label) = (invocation.program, invocation.label());
            let (state, left) = (report.state, left.as_secs_f64());
            // Progress is optional, so a closed standard error is ignored.
            let _ = writeln!(
                err.borrow_mut(),
                "{program}: {label} - {state}, retrying for up to {left:.1} s"
            );
        }
    };
    let report = match invocation.options.wait_limit {
        None => runtime.block_on(attempt(None)),
        Some(limit) => runtime.block_on(wait_until_ready(
            limit,
            |left| attempt(Some(left.max(MIN_LAST_ATTEMPT))),
            on_retry,
        )),
    };
    // A DNS lookup that is still blocked must not delay the exit.
    runtime.shutdown_background();
    let attempts = *attempts.borrow();
    Ok((report, attempts))
}

/// Returns the status that determines the exit code: with `--alive` a server that rejects connections is up.
fn exit_status(invocation: &Invocation<'_>, report: &Report) -> PingStatus {
    match report.ping_status {
        PingStatus::Reject if invocation.options.alive => PingStatus::Ok,
        status => status,
    }
}

/// Prints `report` with the exit code of `status`, by default that of the report.
pub(super) fn print_json(
    report: &Report,
    status: Option<PingStatus>,
    attempts: u32,
    out: &mut impl Write,
) -> io::Result<()> {
    let json = JsonReport {
        format_version: JSON_FORMAT_VERSION,
        report,
        exit_code: status.unwrap_or(report.ping_status).exit_code(),
        attempts,
    };
    serde_json::to_writer(&mut *out, &json)?;
    writeln!(out)
}

fn print_report(
    invocation: &Invocation<'_>,
    report: &Report,
    attempts: u32,
    out: &mut impl Write,
) -> io::Result<()> {
    match invocation.options.output {
        OutputFormat::Json => {
            print_json(report, Some(exit_status(invocation, report)), attempts, out)
        }
        OutputFormat::Text => {
            write!(out, "{} - {}", invocation.label(), report.ping_status)?;
            match (&report.reason, report.ping_status) {
                (_, PingStatus::Ok | PingStatus::NoAttempt) | (None, _) => {}
                (Some(reason), _) => write!(out, " ({}: {reason})", report.state)?,
            }
            writeln!(out)
        }
    }
}

impl Options {
    /// Returns the timeout of an attempt, by default [`DEFAULT_TIMEOUT`]. Unlike `connect_timeout`, it accepts
    /// fractions of a second and has no minimum; 0 disables it.
    fn attempt_timeout(&self) -> Result<Option<Duration>, UsageError> {
        let Some(text) = self.timeout_text() else {
            return Ok(Some(DEFAULT_TIMEOUT));
        };
        match parse_duration(text) {
            Some(Duration::ZERO) => Ok(None),
            Some(timeout) => Ok(Some(timeout)),
            None => Err(UsageError::Timeout(text.to_owned())),
        }
    }
}
