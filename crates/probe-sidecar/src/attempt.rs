//! Runs attempts of each kind of handler.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use pg_ready::Request;
use probe::prober::ProbeTarget;
use probe::tls::Tls;
use probe::{
    HttpGet, LocalProber, ProbeError, ProbeKind, Prober as _, ResolvedHandler, Verdict, exec, grpc,
    http, unix,
};
use tokio::time::Instant;

use crate::outcome::{AttemptOutcome, FailureReason};
use crate::spec::{Handler, TlsFiles};

mod certificate;
mod expect;
mod postgres;
pub(crate) mod tls;

pub(crate) use certificate::Expiry;
use expect::ResponseMatcher;

/// User agent of attempts. Servers that recognize probes of the kubelet recognize these, too.
pub const USER_AGENT: &str = concat!("kube-probe/1.36 probe-sidecar/", env!("CARGO_PKG_VERSION"));

/// A handler with its files read, ready to run repeatedly.
#[derive(Debug)]
pub struct Attempt {
    kind: Kind,
    expiry: Expiry,
    /// Minimum validity of the certificate in days.
    min_days_left: Option<u32>,
}

#[derive(Debug)]
enum Kind {
    /// A handler of Kubernetes.
    Kubernetes(ResolvedHandler),
    Exec {
        command: Vec<String>,
        env: Vec<(String, String)>,
    },
    Http {
        client: http::Client,
        get: HttpGet,
        matcher: ResponseMatcher,
    },
    Grpc {
        host: String,
        port: u16,
        service: String,
        tls: Tls,
    },
    Unix(PathBuf),
    Postgres {
        request: Box<Request>,
        password_file: Option<PathBuf>,
    },
}

/// A file that a handler names cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{probe}: {message}")]
pub struct BuildError {
    probe: String,
    message: String,
}

impl BuildError {
    /// Returns the message without the name of the probe.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn new(message: impl Into<String>) -> Self {
        Self {
            probe: String::new(),
            message: message.into(),
        }
    }

    pub(crate) fn for_probe(mut self, target: &str, kind: ProbeKind) -> Self {
        self.probe = format!("target {target}, {}", kind.field());
        self
    }
}

impl Attempt {
    /// Reads the files that a handler names.
    ///
    /// # Errors
    /// Fails if a file is missing or invalid.
    pub fn build(handler: &Handler) -> Result<Self, BuildError> {
        let expiry = Expiry::default();
        let kind = match handler {
            Handler::Kubernetes(action) => Kind::Kubernetes(action.clone()),
            Handler::Exec { command, env } => Kind::Exec {
                command: command.clone(),
                env: env.clone(),
            },
            Handler::Http { get, tls, expect } => Kind::Http {
                client: client(tls.as_ref(), &expiry)?,
                get: get.clone(),
                matcher: ResponseMatcher::new(expect)?,
            },
            Handler::Grpc {
                host,
                port,
                service,
                tls,
            } => Kind::Grpc {
                host: host.clone(),
                port: *port,
                service: service.clone(),
                tls: Tls {
                    config: Arc::new(tls::config(tls, expiry.clone())?),
                    server_name: tls.server_name.clone(),
                },
            },
            Handler::Unix { path } => Kind::Unix(path.clone()),
            Handler::Postgres {
                conninfo,
                checks,
                password_file,
            } => Kind::Postgres {
                request: Box::new(postgres::request(conninfo, checks)?),
                password_file: password_file.clone(),
            },
        };
        Ok(Self {
            kind,
            expiry,
            min_days_left: handler.tls().and_then(|tls| tls.min_days_left),
        })
    }

    /// Returns the end of the validity of the server's certificate as a Unix time, if a handshake has shown it.
    #[must_use]
    pub fn certificate_expiry(&self) -> Option<i64> {
        self.expiry.seconds()
    }

    /// Returns the message of a failure if the certificate expires too soon.
    fn expiry_failure(&self) -> Option<String> {
        let (min, left) = (
            self.min_days_left?,
            self.expiry.days_left(Timestamp::now())?,
        );
        let expires_soon = left < i64::from(min);
        expires_soon
            .then(|| format!("the certificate expires in {left} days, minDaysLeft is {min}"))
    }

    /// Returns the handler of Kubernetes, or `None` for an extension.
    #[must_use]
    pub fn action(&self) -> Option<&ResolvedHandler> {
        match &self.kind {
            Kind::Kubernetes(action) => Some(action),
            _ => None,
        }
    }
}

fn client(tls: Option<&TlsFiles>, expiry: &Expiry) -> Result<http::Client, BuildError> {
    let client = http::Client::new(USER_AGENT, http::Http2::Offered);
    Ok(match tls {
        Some(files) => client.with_tls(
            tls::config(files, expiry.clone())?,
            files.server_name.clone(),
        ),
        None => client,
    })
}

/// Runs attempts.
#[async_trait]
pub trait AttemptRunner: Send + Sync + 'static {
    /// Runs one attempt within `timeout`.
    async fn run(&self, attempt: &Attempt, timeout: Duration)
    -> Result<AttemptOutcome, ProbeError>;
}

/// Runs attempts from this process.
#[derive(Debug)]
pub struct LocalRunner {
    prober: LocalProber,
    placeholder_target: ProbeTarget,
}

impl Default for LocalRunner {
    fn default() -> Self {
        Self {
            prober: LocalProber::new(USER_AGENT, http::Http2::Offered),
            placeholder_target: ProbeTarget {
                pod_uid: String::new(),
                namespace: String::new(),
                pod: String::new(),
                container: String::new(),
                container_id: String::new(),
                ip: None,
            },
        }
    }
}

#[async_trait]
impl AttemptRunner for LocalRunner {
    async fn run(
        &self,
        attempt: &Attempt,
        timeout: Duration,
    ) -> Result<AttemptOutcome, ProbeError> {
        let mut outcome: AttemptOutcome = match &attempt.kind {
            Kind::Kubernetes(action) => {
                let outcome = self
                    .prober
                    .probe(&self.placeholder_target, action, timeout)
                    .await?;
                outcome.into()
            }
            Kind::Http {
                client,
                get,
                matcher,
            } => probe_http(client, get, matcher, timeout).await?,
            Kind::Grpc {
                host,
                port,
                service,
                tls,
            } => grpc::probe_with_tls(Some(tls), host, *port, service, USER_AGENT, timeout)
                .await
                .into(),
            Kind::Exec { command, env } => {
                let input = exec::Input { env, stdin: None };
                exec::run(command, &input, timeout).await?.into()
            }
            Kind::Unix(path) => unix::probe(path, timeout).await.into(),
            Kind::Postgres {
                request,
                password_file,
            } => postgres::probe(request, password_file.as_deref(), timeout).await?,
        };
        if outcome.verdict == Verdict::Success
            && let Some(message) = attempt.expiry_failure()
        {
            outcome.verdict = Verdict::Failure;
            outcome.reason = Some(FailureReason {
                kind: "certificate_expiry",
                code: None,
            });
            outcome.output = message;
        }
        Ok(outcome)
    }
}

async fn probe_http(
    client: &http::Client,
    get: &HttpGet,
    matcher: &ResponseMatcher,
    timeout: Duration,
) -> Result<AttemptOutcome, ProbeError> {
    let start = Instant::now();
    let (verdict, reason, output) = match client.fetch(get, timeout).await? {
        Ok(response) => matcher.match_response(&response),
        Err(outcome) => return Ok(outcome.into()),
    };
    Ok(AttemptOutcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    })
}
