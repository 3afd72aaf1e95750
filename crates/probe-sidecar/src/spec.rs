//! Effective configuration: names are resolved and defaults are set.

use std::path::PathBuf;
use std::time::Duration;

use probe::{HttpGet, ProbeKind, ResolvedHandler};
use serde::Serialize;

use crate::engine::state::Status;

mod display;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Targets in the order of the file.
    pub targets: Vec<TargetSpec>,
    /// Groups of probes.
    pub groups: Vec<GroupSpec>,
    /// Actions triggered by results.
    pub actions: Vec<ActionSpec>,
}

impl Config {
    /// Number of probes of all targets.
    #[must_use]
    pub fn probe_count(&self) -> usize {
        self.targets.iter().map(|target| target.probes.len()).sum()
    }
}

/// A target with its probes; usually a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// Name in endpoints and metrics.
    pub name: String,
    /// `true` if the target is not part of the pod: the endpoints of the pod leave it out.
    pub dependency: bool,
    /// At most one probe of each kind.
    pub probes: Vec<ProbeSpec>,
}

/// A probe of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Kind of the probe.
    pub kind: ProbeKind,
    /// Check of an attempt.
    pub handler: Handler,
    /// Time between the starts of two attempts.
    pub period: Duration,
    /// Timeout of an attempt.
    pub timeout: Duration,
    /// Delay before the first attempt.
    pub initial_delay: Duration,
    /// Maximum of an additional random delay before the first attempt, which spreads the instances of a deployment.
    pub jitter: Duration,
    /// Consecutive successes until the probe is healthy.
    pub success_threshold: u32,
    /// Consecutive failures until the probe is unhealthy.
    pub failure_threshold: u32,
    /// Time without a finished attempt after which the probe is stale.
    pub stale_after: Duration,
    /// Time of attempts that cannot be judged after which the probe is unknown. `None`: never.
    pub unknown_after: Option<Duration>,
    /// Statuses that count as healthy in addition to `healthy`.
    pub healthy_when: HealthyWhen,
}

/// Statuses without a current result that count as healthy. By default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthyWhen {
    /// No attempt has finished yet.
    pub never_run: bool,
    /// The last result is too old.
    pub stale: bool,
    /// Attempts cannot be judged, or the first threshold is not reached yet.
    pub unknown: bool,
}

/// Check of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// A handler of Kubernetes, as the kubelet runs it.
    Kubernetes(ResolvedHandler),
    /// A command with the environment of its target.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
        /// Environment variables in addition to those of the sidecar.
        env: Vec<(String, String)>,
    },
    /// An HTTP GET with extensions.
    Http {
        /// Request.
        get: HttpGet,
        /// TLS settings, if the configuration has any.
        tls: Option<TlsFiles>,
        /// Expected response.
        expect: Expect,
    },
    /// A gRPC health check over TLS.
    Grpc {
        /// Host name or IP address.
        host: String,
        /// Port number.
        port: u16,
        /// Name of the service; empty for the server itself.
        service: String,
        /// TLS settings.
        tls: TlsFiles,
    },
    /// A connection to a Unix socket, closed immediately.
    Unix {
        /// Path; with the prefix `@` an abstract name.
        path: PathBuf,
    },
    /// A check of a PostgreSQL server by the crate `pg-ready`.
    Postgres {
        /// Connection string in the syntax of libpq.
        conninfo: String,
        /// Checks after the connection.
        checks: Vec<pg_ready::check::Check>,
        /// File with the password.
        password_file: Option<PathBuf>,
    },
}

impl Handler {
    /// Returns the TLS settings, if there are any.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsFiles> {
        match self {
            Self::Http { tls, .. } => tls.as_ref(),
            Self::Grpc { tls, .. } => Some(tls),
            _ => None,
        }
    }
}

/// Files of a TLS client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsFiles {
    /// Trusted certificate authorities. `None`: any certificate is accepted, as by the kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Client certificate and private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<(PathBuf, PathBuf)>,
    /// Expected name in the certificate of the server, instead of the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Minimum validity of the server's certificate in days; a shorter one is a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_days_left: Option<u32>,
}

/// Expected response. The default is the rule of the kubelet: a status from 200 to 399.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expect {
    /// Accepted status codes; empty: 200 to 399.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Required substring of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Regular expression that must match in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<String>,
    /// Required headers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ExpectHeader>,
}

/// A required header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectHeader {
    /// Name, case-insensitive.
    pub name: String,
    /// Condition that one of its values must satisfy.
    pub value: HeaderValue,
}

/// Condition of a header value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HeaderValue {
    /// Any value.
    Present,
    /// This value.
    Equals(String),
    /// A value that this regular expression matches.
    Matches(String),
}

/// A group of probes and other groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Name in endpoints and metrics.
    pub name: String,
    /// Members in the order of the file.
    pub members: Vec<Member>,
    /// Required number of healthy members.
    pub require: Require,
    /// Behaviour when too few members are healthy.
    pub policy: Policy,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Member {
    /// A probe of a target.
    Probe {
        /// Name of the target.
        target: String,
        /// Kind of its probe.
        kind: ProbeKind,
    },
    /// Another group, by name.
    Group(String),
}

/// Required number of healthy members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// All members.
    All,
    /// At least one member.
    Any,
    /// At least this number of members.
    AtLeast(usize),
}

/// Behaviour of a group when too few of its members are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The group is unhealthy.
    Strict,
    /// The group stays healthy once it was: an outage of a shared dependency does not take the pod out of service.
    FailOpen,
}

/// Result that a threshold decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// The success threshold was reached last.
    Healthy,
    /// The failure threshold was reached last.
    Unhealthy,
}

/// An action triggered by a status of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Name in logs and metrics.
    pub name: String,
    /// Probe or group whose status triggers the action.
    pub source: Member,
    /// Status that triggers the action.
    pub becomes: Status,
    /// Effect of the action.
    pub effect: ActionKind,
    /// Minimum time between two runs.
    pub cool_down: Duration,
    /// Maximum number of runs within `window`.
    pub max_runs: usize,
    /// Length of the sliding window of the budget.
    pub window: Duration,
    /// `true` to run again after each cool-down while the status lasts.
    pub repeat: bool,
    /// `true` to log the action only.
    pub dry_run: bool,
}

/// Effect of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// Sends a signal to a process.
    Signal {
        /// Signal number.
        signal: i32,
        /// Signal name.
        name: String,
        /// Selection of the process.
        process: Process,
        /// Time after which SIGKILL follows if the process has not exited. `None`: never.
        kill_after: Option<Duration>,
    },
    /// Shuts the sidecar down with this exit code.
    Exit(u8),
    /// Runs a command.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
        /// Timeout.
        timeout: Duration,
    },
    /// Sends the event as JSON in a POST request.
    Webhook {
        /// URL of the receiver.
        url: String,
        /// Additional request headers.
        headers: Vec<(String, String)>,
        /// Timeout.
        timeout: Duration,
        /// TLS settings for `https:`.
        tls: Option<TlsFiles>,
        /// Template of the body. `None`: the event as JSON.
        body: Option<String>,
        /// `true` to send another request when the trigger is over.
        send_resolved: bool,
    },
    /// Writes a file atomically.
    WriteFile {
        /// Path of the file.
        path: PathBuf,
        /// Content. `None`: the event as JSON.
        content: Option<String>,
    },
}

/// Selection of a process in the shared PID namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// Name as in `ps -o comm`.
    Name(String),
    /// Path of its executable.
    Executable(PathBuf),
    /// TCP port on which it listens.
    Port(u16),
}

/// Returns the name of the endpoint for a kind of probe.
#[must_use]
pub fn endpoint_name(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Liveness => "livez",
        ProbeKind::Readiness => "readyz",
        ProbeKind::Startup => "startupz",
    }
}

/// Returns the kind of probe that an endpoint serves.
#[must_use]
pub fn kind_from_endpoint(name: &str) -> Option<ProbeKind> {
    ProbeKind::ALL
        .into_iter()
        .find(|kind| endpoint_name(*kind) == name)
}
