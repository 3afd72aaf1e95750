//! What is to be run, worked out from a configuration: every name looked up, every default filled in.

use std::path::PathBuf;
use std::time::Duration;

use probe::{HttpGet, ProbeKind, ResolvedHandler};
use serde::Serialize;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// What is probed.
    pub targets: Vec<TargetSpec>,
    /// Several answers made one.
    pub groups: Vec<GroupSpec>,
    /// What is done about it.
    pub actions: Vec<ActionSpec>,
}

impl Config {
    /// How many probes there are.
    #[must_use]
    pub fn probes(&self) -> usize {
        self.targets.iter().map(|target| target.probes.len()).sum()
    }
}

/// One thing that is probed, as a container is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSpec {
    /// Its name in endpoints and metrics.
    pub name: String,
    /// Whether it is somebody else's: then the pod's own endpoints do not ask for it.
    pub dependency: bool,
    /// At most one of each kind.
    pub probes: Vec<ProbeSpec>,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What it decides.
    pub kind: ProbeKind,
    /// What an attempt does.
    pub handler: Handler,
    /// From the beginning of one attempt to that of the next.
    pub period: Duration,
    /// What an attempt may take.
    pub timeout: Duration,
    /// How long after its start the first attempt is made.
    pub initial_delay: Duration,
    /// Successes in a row that make it healthy.
    pub success_threshold: u32,
    /// Failures in a row that make it unhealthy.
    pub failure_threshold: u32,
    /// Without a result for so long it is stale.
    pub stale_after: Duration,
    /// What else than success is healthy.
    pub healthy_when: HealthyWhen,
}

/// Which states of not knowing count as healthy. None does unless it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthyWhen {
    /// No attempt was made yet.
    pub never_run: bool,
    /// There was no result for too long.
    pub stale: bool,
    /// Attempts say nothing, or not enough yet.
    pub unknown: bool,
}

/// What an attempt does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handler {
    /// What the kubelet does too.
    Kubernetes(ResolvedHandler),
    /// A GET with what Kubernetes cannot ask for.
    Http {
        /// The request.
        get: HttpGet,
        /// How TLS is to be, if there is any.
        tls: Option<TlsFiles>,
        /// What the answer has to be.
        expect: Expect,
    },
    /// A health check over TLS.
    Grpc {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// The service asked for; empty for the server as a whole.
        service: String,
        /// How TLS is to be.
        tls: TlsFiles,
    },
    /// A connection to a socket in the file system, closed at once.
    Unix {
        /// Its path; one that begins with `@` is in no file system.
        path: PathBuf,
    },
    /// A PostgreSQL server, asked as `pg-ready` asks.
    Postgres {
        /// A connection string.
        conninfo: String,
        /// What more than an answer is asked for.
        checks: Vec<pg_ready::check::Check>,
        /// Where the password is.
        password_file: Option<PathBuf>,
    },
}

/// The files of a TLS client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsFiles {
    /// The authorities that are trusted; without them any certificate is good enough, as to the kubelet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The certificate that is shown to the server, and its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name the server's certificate is to have, instead of the host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// What an answer has to be. Empty, it is the kubelet's: a status from 200 to 399.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expect {
    /// One of these statuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Stands in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// Matches in the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<String>,
    /// Each has to be there and fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ExpectHeader>,
}

/// What a header has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpectHeader {
    /// Its name, in any case.
    pub name: String,
    /// What one of its values has to be.
    pub value: HeaderValue,
}

/// What a value of a header has to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HeaderValue {
    /// Anything.
    Present,
    /// This.
    Is(String),
    /// Something that this expression matches.
    Matches(String),
}

/// Several probes, or groups of them, under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub members: Vec<Member>,
    /// How many of them have to be healthy.
    pub require: Require,
    /// What happens when they are not.
    pub policy: Policy,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// A probe of a target.
    Probe {
        /// The target.
        target: String,
        /// Which of its probes.
        kind: ProbeKind,
    },
    /// Another group.
    Group(String),
}

/// How many members have to be healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// Each of them.
    All,
    /// One of them.
    Any,
    /// A quorum.
    AtLeast(usize),
}

/// What a group says when too few of its members are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// That it is not.
    Strict,
    /// That it is healthy all the same, if it ever was: a shared dependency that dies takes nobody out.
    FailOpen,
}

/// What is done when a probe comes to a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionSpec {
    /// Its name in logs and metrics.
    pub name: String,
    /// Whose result.
    pub target: String,
    /// Which of its probes.
    pub kind: ProbeKind,
    /// Which result: true is healthy.
    pub becomes: bool,
    /// What is done.
    pub deed: Deed,
    /// From one time it is done to the next.
    pub cool_down: Duration,
    /// So often, and no more,
    pub most: usize,
    /// … within so long.
    pub window: Duration,
    /// Whether it is done again after each cool-down for as long as the result stays.
    pub repeat: bool,
    /// Whether it is only told of.
    pub dry_run: bool,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A signal for a process.
    Signal {
        /// Its number.
        signal: i32,
        /// Its name, for people.
        name: String,
        /// Which process.
        process: Process,
    },
    /// The sidecar ends in order, with this code.
    Exit(u8),
    /// A command.
    Exec {
        /// The program and its arguments.
        command: Vec<String>,
        /// What it may take.
        timeout: Duration,
    },
    /// A POST with what happened, in JSON.
    Webhook {
        /// Where.
        url: String,
        /// Headers that go with it.
        headers: Vec<(String, String)>,
        /// What it may take.
        timeout: Duration,
        /// Whom to trust, for `https:`.
        tls: Option<TlsFiles>,
    },
    /// A file, put in place as a whole.
    WriteFile {
        /// Where.
        path: PathBuf,
        /// What; none is what happened, in JSON.
        content: Option<String>,
    },
}

/// How a process is found, in the process namespace that is shared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    /// By its name, as `ps -o comm` shows it.
    Name(String),
    /// By its program.
    Executable(PathBuf),
    /// By the TCP port it listens at.
    Port(u16),
}

impl std::fmt::Display for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the process named {name}"),
            Self::Executable(path) => write!(f, "the process of {}", path.display()),
            Self::Port(port) => write!(f, "the process that listens at port {port}"),
        }
    }
}

impl std::fmt::Display for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Signal { name, process, .. } => write!(f, "{name} to {process}"),
            Self::Exit(code) => write!(f, "exit with {code}"),
            Self::Exec { command, .. } => write!(f, "run {command:?}"),
            // Its query may hold what is not for everyone.
            Self::Webhook { url, .. } => {
                write!(f, "POST to {}", url.split('?').next().unwrap_or_default())
            }
            Self::WriteFile { path, .. } => write!(f, "write {}", path.display()),
        }
    }
}

/// The word of an endpoint for a kind of probe.
#[must_use]
pub fn endpoint(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Liveness => "livez",
        ProbeKind::Readiness => "readyz",
        ProbeKind::Startup => "startupz",
    }
}

/// The kind of probe that an endpoint is about.
#[must_use]
pub fn kind_of(endpoint: &str) -> Option<ProbeKind> {
    ProbeKind::ALL
        .into_iter()
        .find(|kind| self::endpoint(*kind) == endpoint)
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Probe { target, kind } => write!(f, "{}/{target}", endpoint(*kind)),
            Self::Group(name) => write!(f, "groups/{name}"),
        }
    }
}

impl std::fmt::Display for Require {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}
