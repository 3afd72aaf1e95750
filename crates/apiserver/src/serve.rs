//! Server of the API: TLS on loopback, with a bearer token.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use component_helpers::supervisor::Component;
use futures::FutureExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use connections::{Activity, Connections};
use tracked::{Permitted, TrackedService};

mod connections;
#[cfg(test)]
mod tests;
mod tracked;

/// Maximum number of open connections. For a further one, the one that has been idle longest is closed.
const MAX_CONNECTIONS: usize = 1024;

/// Timeout of the TLS handshake, of the first request, and of reading a request's head.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of an idle connection after its first request, as of Go's `http.DefaultTransport`.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Delay after a failed `accept`. The process probably has no free file descriptor, so an immediate retry would fail, too.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Timeout of requests in flight when the node shuts down.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Certificate and token of a server. They are generated at each start and stored in the kubeconfig only.
pub struct Credentials {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: PrivateKeyDer<'static>,
    token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// Generates a certificate for the loopback names, and a token.
    ///
    /// # Errors
    /// If the certificate cannot be generated.
    pub fn generate() -> Result<Self, rcgen::Error> {
        let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"];
        let signed = rcgen::generate_simple_self_signed(names.map(str::to_owned))?;
        let random: [u8; 32] = rand::random();
        Ok(Self {
            certificate: signed.cert.der().clone(),
            certificate_pem: signed.cert.pem(),
            key: PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into()),
            token: random.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// Returns a kubeconfig for the API at `address`. It contains the token, so its file must be readable by the owner only.
    #[must_use]
    pub fn kubeconfig(&self, address: SocketAddr) -> String {
        use base64::Engine as _;
        let authority = base64::engine::general_purpose::STANDARD.encode(&self.certificate_pem);
        let token = &self.token;
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: selfheal\n\
             clusters:\n- name: selfheal\n  cluster:\n    server: https://{address}\n    certificate-authority-data: {authority}\n\
             users:\n- name: selfheal\n  user:\n    token: {token}\n\
             contexts:\n- name: selfheal\n  context:\n    cluster: selfheal\n    user: selfheal\n    namespace: default\n"
        )
    }

    fn acceptor(&self) -> Result<TlsAcceptor, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config).into())
    }
}

/// Serves `api` on `listener` until `shutdown`, then waits at most 2 s for requests in flight.
///
/// # Errors
/// If the certificate is not usable.
pub async fn serve(
    api: &Api,
    listener: TcpListener,
    credentials: &Credentials,
    shutdown: CancellationToken,
) -> Result<(), rustls::Error> {
    let limit = MAX_CONNECTIONS;
    serve_with_limit(api, listener, credentials, shutdown, limit).await
}

async fn serve_with_limit(
    api: &Api,
    listener: TcpListener,
    credentials: &Credentials,
    shutdown: CancellationToken,
    max_connections: usize,
) -> Result<(), rustls::Error> {
    let token: Arc<str> = credentials.token.as_str().into();
    let server = Server {
        listener,
        acceptor: credentials.acceptor()?,
        router: api
            .router()
            .layer(middleware::from_fn_with_state(token, authenticate)),
        connections: Connections::new(max_connections),
        tasks: TaskTracker::new(),
        component: api.component().clone(),
        shutdown: shutdown.clone(),
    };
    let (component, tasks) = (server.component.clone(), server.tasks.clone());
    let accepting = component.run("", server, |server| server.accept_connections().boxed());
    shutdown.run_until_cancelled(accepting).await;
    tasks.close();
    if tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait())
        .await
        .is_err()
    {
        tracing::debug!("requests to the API were aborted by the shutdown");
    }
    Ok(())
}

/// Accepts connections. The listener and the open connections outlive a restart.
struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    router: Router,
    connections: Connections,
    tasks: TaskTracker,
    component: Component,
    shutdown: CancellationToken,
}

impl Server {
    async fn accept_connections(&mut self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.open(stream).await,
                Err(error) => {
                    tracing::warn!(%error, "the API could not accept a connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }

    async fn open(&self, stream: TcpStream) {
        self.component.failpoint();
        let permit = self.connections.permit().await;
        let connection = Connection {
            acceptor: self.acceptor.clone(),
            router: self.router.clone(),
            activity: self.connections.open_connection(),
            shutdown: self.shutdown.clone(),
        };
        let component = self.component.clone();
        self.tasks.spawn(async move {
            let activity = connection.activity.clone();
            component.run_once(connection.serve(stream, permit)).await;
            activity.unregister();
        });
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    activity: Arc<Activity>,
    shutdown: CancellationToken,
}

impl Connection {
    /// Serves until the client or a limit ends it. `permit` is released when the socket is closed, which is later for a
    /// connection that was upgraded.
    async fn serve(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let activity = self.activity.clone();
        let idle = activity.idle_for(HANDSHAKE_TIMEOUT, IDLE_TIMEOUT);
        let close = activity.close.clone();
        tokio::select! {
            () = self.handshake_and_serve(stream, permit) => {}
            () = close.cancelled() => {}
            () = idle => tracing::debug!("an idle connection to the API was closed"),
        }
    }

    async fn handshake_and_serve(self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let stream = match self.acceptor.accept(stream).await {
            Ok(stream) => Permitted {
                stream,
                _permit: permit,
            },
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake with the API failed");
                return;
            }
        };
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HANDSHAKE_TIMEOUT);
        builder.http2().timer(TokioTimer::new());
        let service = TrackedService {
            router: self.router,
            activity: self.activity,
        };
        let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        tokio::pin!(serving);
        let result = tokio::select! {
            result = &mut serving => result,
            () = self.shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "a connection to the API failed");
        }
    }
}

/// Rejects requests without the token. Health and version need none, as upstream's role `system:public-info-viewer`.
async fn authenticate(
    State(token): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let is_public = matches!(
        request.uri().path(),
        "/healthz" | "/livez" | "/readyz" | "/version" | "/version/"
    );
    let given = request.headers().get(http::header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let is_authenticated = given.is_some_and(|given| given.ct_eq(token.as_bytes()).into());
    if is_public || is_authenticated {
        return Ok(next.run(request).await);
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    let response = Response::builder()
        .status(http::StatusCode::UNAUTHORIZED)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(status.to_string().into())
        .expect("a status and one header make a response");
    Ok(response)
}
