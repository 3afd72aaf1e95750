//! Makes one attempt of each kind of probe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pg_ready::Request;
use probe::prober::ProbeTarget;
use probe::tls::Tls;
use probe::{
    HttpGet, LocalProber, ProbeError, ProbeKind, Prober as _, ResolvedHandler, grpc, http, unix,
};
use tokio::time::Instant;

use crate::finding::Finding;
use crate::spec::{Handler, TlsFiles};

mod expect;
mod postgres;
pub(crate) mod tls;

use expect::Judge;

/// What an attempt names itself: servers that know the kubelet's probes by their name know these too.
pub const USER_AGENT: &str = concat!("kube-probe/1.36 probe-sidecar/", env!("CARGO_PKG_VERSION"));

/// An attempt, ready to be made as often as need be.
#[derive(Debug)]
pub struct Attempt(Kind);

#[derive(Debug)]
enum Kind {
    /// As the kubelet makes it.
    Kubernetes(ResolvedHandler),
    Http {
        client: http::Client,
        get: HttpGet,
        judge: Judge,
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

/// A probe that cannot be made as the configuration says.
#[derive(Debug, thiserror::Error)]
#[error("{probe}: {message}")]
pub struct BuildError {
    probe: String,
    message: String,
}

impl BuildError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            probe: String::new(),
            message: message.into(),
        }
    }

    pub(crate) fn of(mut self, target: &str, kind: ProbeKind) -> Self {
        self.probe = format!("target {target}, {}", kind.field());
        self
    }
}

impl Attempt {
    /// Reads the files that a handler names.
    ///
    /// # Errors
    /// When one of them is missing or holds something else.
    pub fn build(handler: &Handler) -> Result<Self, BuildError> {
        Ok(Self(match handler {
            Handler::Kubernetes(action) => Kind::Kubernetes(action.clone()),
            Handler::Http { get, tls, expect } => Kind::Http {
                client: client(tls.as_ref())?,
                get: get.clone(),
                judge: Judge::new(expect)?,
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
                    config: Arc::new(tls::config(tls)?),
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
        }))
    }

    /// What is done as the kubelet would do it; none for what it cannot do.
    #[must_use]
    pub fn action(&self) -> Option<&ResolvedHandler> {
        match &self.0 {
            Kind::Kubernetes(action) => Some(action),
            _ => None,
        }
    }
}

fn client(tls: Option<&TlsFiles>) -> Result<http::Client, BuildError> {
    let client = http::Client::new(USER_AGENT, http::Http2::Offered);
    Ok(match tls {
        Some(files) => client.with_tls(tls::config(files)?, files.server_name.clone()),
        None => client,
    })
}

/// Makes attempts.
#[async_trait]
pub trait Attempts: Send + Sync + 'static {
    /// Makes one within `timeout`.
    async fn make(&self, attempt: &Attempt, timeout: Duration) -> Result<Finding, ProbeError>;
}

/// Makes them from this process.
#[derive(Debug)]
pub struct Local {
    prober: LocalProber,
    nobody: ProbeTarget,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            prober: LocalProber::new(USER_AGENT, http::Http2::Offered),
            nobody: ProbeTarget {
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
impl Attempts for Local {
    async fn make(&self, attempt: &Attempt, timeout: Duration) -> Result<Finding, ProbeError> {
        Ok(match &attempt.0 {
            Kind::Kubernetes(action) => {
                let made = self.prober.probe(&self.nobody, action, timeout).await?;
                made.into()
            }
            Kind::Http { client, get, judge } => asked(client, get, judge, timeout).await?,
            Kind::Grpc {
                host,
                port,
                service,
                tls,
            } => grpc::probe_with_tls(Some(tls), host, *port, service, USER_AGENT, timeout)
                .await
                .into(),
            Kind::Unix(path) => unix::probe(path, timeout).await.into(),
            Kind::Postgres {
                request,
                password_file,
            } => postgres::probe(request, password_file.as_deref(), timeout).await?,
        })
    }
}

async fn asked(
    client: &http::Client,
    get: &HttpGet,
    judge: &Judge,
    timeout: Duration,
) -> Result<Finding, ProbeError> {
    let start = Instant::now();
    let (verdict, reason, output) = match client.fetch(get, timeout).await? {
        Ok(answer) => judge.judge(&answer),
        Err(outcome) => return Ok(outcome.into()),
    };
    Ok(Finding {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    })
}
