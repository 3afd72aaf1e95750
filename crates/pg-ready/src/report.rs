//! The result of an attempt, which serializes to the JSON of `--output=json`.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::ping_status::PingStatus;
use crate::state::State;

/// Phase of an attempt, in the order of execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Resolution of the host name.
    Dns,
    /// Connection to an address or a socket.
    Connect,
    /// TLS handshake.
    Tls,
    /// Startup packet and authentication.
    Login,
    /// Requested checks.
    Checks,
}

/// Result of one attempt. Contains no secrets, so it can be logged.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// State of the server.
    pub state: State,
    /// The status that `pg_isready` has for `state`.
    pub ping_status: PingStatus,
    /// Reason for `state`, from the server if it sent one. An accepting server has one if it rejects the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Phase in which the attempt failed; `None` if the server is accepting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The server that was tried last.
    pub server: ServerInfo,
    /// Duration of each phase.
    #[serde(rename = "phases_ms")]
    pub phases: PhaseDurations,
    /// The checks that ran, in order; only the last one can have failed.
    pub checks: Vec<CheckReport>,
}

/// The server that an attempt tried last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Host name, address or socket directory of the settings.
    pub host: String,
    /// Port of the settings.
    pub port: u16,
    /// Resolved address with port, or path of the socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// `server_version`, known after a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `true` if the connection was encrypted.
    pub tls: bool,
}

/// Duration of each phase that started, serialized in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PhaseDurations {
    #[serde(
        serialize_with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    dns: Option<Duration>,
    #[serde(
        serialize_with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    connect: Option<Duration>,
    #[serde(
        serialize_with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    tls: Option<Duration>,
    #[serde(
        serialize_with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    login: Option<Duration>,
    #[serde(
        serialize_with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    checks: Option<Duration>,
}

/// Result of one check.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// The check as it is displayed, without the statement of a query.
    pub check: String,
    /// [`State::Accepting`] if the check passed.
    pub state: State,
    /// Time that the check took, serialized as `ms`.
    #[serde(rename = "ms", serialize_with = "milliseconds")]
    pub duration: Duration,
}

impl PhaseDurations {
    /// Returns the duration of `phase`, or `None` if it did not start.
    #[must_use]
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        match phase {
            Phase::Dns => self.dns,
            Phase::Connect => self.connect,
            Phase::Tls => self.tls,
            Phase::Login => self.login,
            Phase::Checks => self.checks,
        }
    }

    fn add(&mut self, phase: Phase, duration: Duration) {
        let total = match phase {
            Phase::Dns => &mut self.dns,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Login => &mut self.login,
            Phase::Checks => &mut self.checks,
        };
        *total = Some(total.unwrap_or_default() + duration);
    }
}

/// Measures the phases of an attempt. The durations of a phase that runs twice, such as a connection, are added.
#[derive(Debug)]
pub(crate) struct PhaseTimer {
    phases: PhaseDurations,
    current: Phase,
    started_at: Instant,
}

impl PhaseTimer {
    pub(crate) fn new() -> Self {
        Self {
            phases: PhaseDurations::default(),
            current: Phase::Dns,
            started_at: Instant::now(),
        }
    }

    /// Finishes the current phase and starts the next.
    pub(crate) fn start(&mut self, next: Phase) {
        self.phases.add(self.current, self.started_at.elapsed());
        self.current = next;
        self.started_at = Instant::now();
    }

    /// Finishes the current phase; returns it and the duration of each phase.
    pub(crate) fn finish(mut self) -> (Phase, PhaseDurations) {
        self.phases.add(self.current, self.started_at.elapsed());
        (self.current, self.phases)
    }
}

impl Report {
    /// Creates the report of an attempt that contacted no server.
    #[must_use]
    pub fn no_attempt(reason: String) -> Self {
        Self {
            state: State::NoAttempt,
            ping_status: PingStatus::NoAttempt,
            reason: Some(reason),
            phase: None,
            server: ServerInfo::default(),
            phases: PhaseDurations::default(),
            checks: Vec::new(),
        }
    }
}

fn optional_milliseconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    milliseconds(&duration.unwrap_or_default(), serializer)
}

/// Serializes milliseconds, rounded to microseconds: more digits would be noise.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}
