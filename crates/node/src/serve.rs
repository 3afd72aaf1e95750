//! The API for others: over TLS, to whoever has the token.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;

/// So many callers may be connected; others wait.
const MAX_CONNECTIONS: usize = 1024;

/// A caller that has not said hello, or not finished a request's head, after so long is let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long answers may take to end once the node is told to.
const DRAIN: Duration = Duration::from_secs(2);

/// What callers need and the server proves itself with. Made anew at each start and kept nowhere but in the kubeconfig.
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
    /// A certificate for the loopback names, and a token.
    ///
    /// # Errors
    /// When the certificate cannot be made.
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

    /// A kubeconfig for the API at `address`. It holds the token: whoever writes it keeps it from others.
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

/// Serves `api` on `listener` until `shutdown`, then lets what is under way end for a moment.
///
/// # Errors
/// When the certificate is not usable.
pub async fn serve(
    api: &Api,
    listener: TcpListener,
    credentials: &Credentials,
    shutdown: CancellationToken,
) -> Result<(), rustls::Error> {
    let acceptor = credentials.acceptor()?;
    let token: Arc<str> = credentials.token.as_str().into();
    let guarded = api
        .router()
        .layer(middleware::from_fn_with_state(token, authenticate));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    while let Some(accepted) = shutdown.run_until_cancelled(accept(&listener, &room)).await {
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, most likely: it passes, and a loop that spins does not help.
                tracing::warn!(%error, "the API could not accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, guarded, shutdown) = (acceptor.clone(), guarded.clone(), shutdown.clone());
        connections.spawn(async move {
            connection(stream, acceptor, guarded, shutdown).await;
            drop(place);
        });
    }
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait())
        .await
        .is_err()
    {
        tracing::debug!("callers of the API were cut off");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    shutdown: CancellationToken,
) {
    let greeted = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await;
    let Ok(Ok(stream)) = greeted else {
        tracing::debug!("a caller of the API did not come to speak TLS");
        return;
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new());
    let service = TowerToHyperService::new(router);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = shutdown.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the API broke off");
    }
}

/// Lets nobody pass without the token; only health is everybody's business.
async fn authenticate(
    State(token): State<Arc<str>>,
    request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let open = matches!(request.uri().path(), "/healthz" | "/livez" | "/readyz");
    let given = request.headers().get(http::header::AUTHORIZATION);
    let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let known = given.is_some_and(|given| given.ct_eq(token.as_bytes()).into());
    if open || known {
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
