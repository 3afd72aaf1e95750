//! Waits for at most 30 seconds until a database accepts a login and a write.
//!
//! `cargo run -p pg-ready --example wait_for_database -- 'host=localhost user=app dbname=todo'`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the command line"
)]

use std::process::ExitCode;
use std::time::Duration;

use pg_ready::check::Check;
use pg_ready::request::DEFAULT_TIMEOUT;
use pg_ready::wait::wait_until_ready;
use pg_ready::{PingStatus, Request};

const WAIT_LIMIT: Duration = Duration::from_secs(30);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let conninfo = std::env::args().nth(1).unwrap_or_default();
    let request = match Request::parse(&conninfo) {
        Ok(request) => request.with_checks(vec![Check::Login, Check::Write]),
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(PingStatus::NoAttempt.exit_code());
        }
    };
    let attempt = |left: Duration| {
        let request = request
            .clone()
            .with_timeout(Some(left.min(DEFAULT_TIMEOUT)));
        async move { pg_ready::check(&request).await }
    };
    let report = wait_until_ready(WAIT_LIMIT, attempt, |report, left| {
        eprintln!("{}, {:.0} s left", report.state, left.as_secs_f64());
    })
    .await;
    match report.reason {
        Some(reason) => println!("{} ({}: {reason})", report.ping_status, report.state),
        None => println!("{}", report.ping_status),
    }
    ExitCode::from(report.ping_status.exit_code())
}
