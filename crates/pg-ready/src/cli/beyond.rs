//! What pg_isready cannot do: checks, waiting, JSON, and a program to run when all is well.

use std::cell::RefCell;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::options::Output;
use super::{Asked, Ended};
use crate::report::Report;
use crate::request::{DEFAULT_TIMEOUT, Request, RequestError};
use crate::target::Plan;
use crate::verdict::Verdict;
use crate::wait;

/// What a script reads.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a Report,
    exit_code: u8,
    attempts: u32,
}

pub(super) fn run(
    asked: &Asked<'_>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<Ended> {
    let (report, attempts) = match request(asked) {
        Ok(request) => ask(asked, &request, err)?,
        Err(reason) => {
            writeln!(err, "{}: error: {reason}", asked.program)?;
            (Report::no_attempt(reason), 0)
        }
    };
    if !asked.options.quiet {
        say(asked, &report, attempts, out)?;
    }
    let command = &asked.options.command;
    if report.verdict == Verdict::Accepting && !command.is_empty() {
        return Ok(Ended::Run(command.clone()));
    }
    Ok(Ended::Verdict(report.verdict))
}

fn request(asked: &Asked<'_>) -> Result<Request, String> {
    let request = asked.request().map_err(|error| error.to_string())?;
    let timeout = asked
        .options
        .any_timeout()
        .map_err(|error| error.to_string())?;
    Ok(request
        .with_checks(asked.options.checks.clone())
        .with_timeout(timeout))
}

/// Asks once, or for as long as was asked for.
fn ask(asked: &Asked<'_>, request: &Request, err: &mut impl Write) -> io::Result<(Report, u32)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (err, attempts) = (RefCell::new(err), RefCell::new(0));
    let once = |left: Option<Duration>| {
        *attempts.borrow_mut() += 1;
        let timeout = match (request.timeout, left) {
            (Some(timeout), Some(left)) => Some(timeout.min(left)),
            (timeout, left) => timeout.or(left),
        };
        let request = request.clone().with_timeout(timeout);
        async move { crate::probe(&request).await }
    };
    let progress = |report: &Report, left: Duration| {
        if !asked.options.quiet {
            let (program, label, state) = (asked.program, asked.label(), report.state);
            let left = left.as_secs_f64();
            // A closed error output ends nothing.
            let _ = writeln!(
                err.borrow_mut(),
                "{program}: {label} - {state}, waiting {left:.0} s more"
            );
        }
    };
    let report = match asked.options.wait {
        None => runtime.block_on(once(None)),
        Some(limit) => runtime.block_on(wait::wait(
            limit,
            // The last attempt may have a moment even if nothing is left of the limit.
            |left| once(Some(left.max(Duration::from_millis(50)))),
            progress,
        )),
    };
    // A name that is still being looked up is nobody's to wait for.
    runtime.shutdown_background();
    let attempts = *attempts.borrow();
    Ok((report, attempts))
}

fn say(asked: &Asked<'_>, report: &Report, attempts: u32, out: &mut impl Write) -> io::Result<()> {
    match asked.options.output {
        Output::Json => {
            let document = Document {
                report,
                exit_code: report.verdict.exit_code(),
                attempts,
            };
            serde_json::to_writer(&mut *out, &document)?;
            writeln!(out)
        }
        Output::Text => {
            write!(out, "{} - {}", asked.label(), report.verdict)?;
            match (&report.reason, report.verdict) {
                (_, Verdict::Accepting | Verdict::NoAttempt) | (None, _) => {}
                (Some(reason), _) => write!(out, " ({}: {reason})", report.state)?,
            }
            writeln!(out)
        }
    }
}

/// The contract where the settings demand TLS: libpq answers for the handshake too.
pub(super) fn contract_over_tls(
    asked: &Asked<'_>,
    plan: &Plan,
    timeout: Option<Duration>,
    err: &mut impl Write,
) -> io::Result<Verdict> {
    let servers = u32::try_from(plan.targets.len()).unwrap_or(u32::MAX);
    // The contract's timeout is each server's, the library's is the whole attempt's.
    let timeout = timeout.map(|timeout| timeout.saturating_mul(servers.max(1)));
    let request = asked.settings().map_err(RequestError::from);
    let request = request.and_then(|settings| {
        Request::without_password(&settings, asked.home.as_deref(), super::os_user)
    });
    match request {
        Ok(request) => Ok(ask(asked, &request.with_timeout(timeout), err)?.0.verdict),
        Err(error) => {
            writeln!(err, "{}: error: {error}", asked.program)?;
            Ok(Verdict::NoAttempt)
        }
    }
}

impl super::Options {
    /// Here fractions of a second count, and there is no least.
    fn any_timeout(&self) -> Result<Option<Duration>, super::UsageError> {
        let Some(text) = self.timeout_text() else {
            return Ok(Some(DEFAULT_TIMEOUT));
        };
        match wait::duration(text) {
            Some(Duration::ZERO) => Ok(None),
            Some(timeout) => Ok(Some(timeout)),
            None => Err(super::UsageError::Timeout(text.to_owned())),
        }
    }
}
