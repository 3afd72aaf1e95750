//! What came of an attempt, for people and for scripts.

use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::state::State;
use crate::verdict::Verdict;

/// The parts of an attempt, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The name is resolved.
    Dns,
    /// The connection is made.
    Connect,
    /// TLS is agreed on.
    Tls,
    /// The server lets us in, or says at least that it is there.
    Login,
    /// The checks are made.
    Checks,
}

/// What came of one attempt. Nothing in it is secret.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was found.
    pub state: State,
    /// The contract's words for it.
    pub verdict: Verdict,
    /// Why, in the words of whoever refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it ended, if not at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Whom this is about.
    pub server: ServerId,
    /// What each phase took.
    pub phases_ms: Phases,
    /// The checks that were made; the last one may have failed.
    pub checks: Vec<CheckReport>,
}

/// The server that was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerId {
    /// As it was named.
    pub host: String,
    /// As it was named.
    pub port: u16,
    /// The address or socket that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its version, if it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the session was encrypted.
    pub tls: bool,
}

/// Milliseconds of each phase that was begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Phases {
    #[serde(
        serialize_with = "milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    dns: Option<Duration>,
    #[serde(
        serialize_with = "milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    connect: Option<Duration>,
    #[serde(
        serialize_with = "milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    tls: Option<Duration>,
    #[serde(
        serialize_with = "milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    login: Option<Duration>,
    #[serde(
        serialize_with = "milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    checks: Option<Duration>,
}

/// One check that was made.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// As it was asked for.
    pub check: String,
    /// What it found.
    pub state: State,
    /// What it took.
    #[serde(serialize_with = "some_milliseconds")]
    pub ms: Duration,
}

impl Phases {
    /// What `phase` took, if it was begun.
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

    fn add(&mut self, phase: Phase, took: Duration) {
        let total = match phase {
            Phase::Dns => &mut self.dns,
            Phase::Connect => &mut self.connect,
            Phase::Tls => &mut self.tls,
            Phase::Login => &mut self.login,
            Phase::Checks => &mut self.checks,
        };
        *total = Some(total.unwrap_or_default() + took);
    }
}

/// Measures the phases of an attempt, which may be dropped at any point.
#[derive(Debug)]
pub(crate) struct Meter {
    phases: Phases,
    current: Phase,
    since: Instant,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            phases: Phases::default(),
            current: Phase::Dns,
            since: Instant::now(),
        }
    }

    /// Ends the current phase and begins the next.
    pub(crate) fn enter(&mut self, next: Phase) {
        self.phases.add(self.current, self.since.elapsed());
        self.current = next;
        self.since = Instant::now();
    }

    /// The phase in which it ended, and what each took.
    pub(crate) fn end(mut self) -> (Phase, Phases) {
        self.phases.add(self.current, self.since.elapsed());
        (self.current, self.phases)
    }
}

impl Report {
    /// What is said about an attempt that was not made.
    #[must_use]
    pub fn no_attempt(reason: String) -> Self {
        Self {
            state: State::NoAttempt,
            verdict: Verdict::NoAttempt,
            reason: Some(reason),
            phase: None,
            server: ServerId::default(),
            phases_ms: Phases::default(),
            checks: Vec::new(),
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn milliseconds<S: Serializer>(took: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    some_milliseconds(&took.unwrap_or_default(), serializer)
}

/// To the microsecond: more digits would be noise.
fn some_milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}
