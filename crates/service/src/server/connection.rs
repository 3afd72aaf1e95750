//! One HTTP connection, until its end, a deadline, or another connection that needs its slot.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::Peer;
use super::activity::Activity;
use super::admission::Slot;
use super::observed::{AnswerBody, Stream};
use crate::Limits;

/// Seconds after which a client that was refused may try again.
const RETRY_AFTER: &str = "1";

/// Requests that a connection may make.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Any,
    /// One health request, in the reserved capacity.
    Health,
}

/// A connection that has been accepted.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: Slot,
    pub(super) class: Class,
    pub(super) limits: Limits,
}

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
#[error("closed for another connection")]
struct Closed;

impl Connection {
    /// Serves the connection. `finish` lets the request in hand be its last one; `dropped` ends it.
    pub(super) async fn serve(
        self,
        router: Router,
        finish: CancellationToken,
        dropped: CancellationToken,
    ) {
        let peer = self.peer;
        let activity = Arc::new(Activity::new(self.slot, self.limits));
        let (serving, class, limits) = (activity.clone(), self.class, self.limits);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let is_served = serving.start_serving();
            let (activity, router) = (serving.clone(), router.clone());
            async move {
                if !is_served {
                    return Err(Closed);
                }
                request.extensions_mut().insert(Peer(peer));
                let response = answer(router, request, class, limits).await;
                Ok(response.map(|body| AnswerBody::new(body, activity)))
            }
        });
        let mut stream = TimeoutStream::new(self.stream);
        stream.set_write_timeout(Some(limits.write_timeout));
        let stream = Stream::new(stream, activity.clone());
        let connection = http1::Builder::new()
            // The deadlines are those of `Activity`.
            .header_read_timeout(None)
            .max_buf_size(limits.header_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = before_deadline(connection.as_mut(), &activity) => ended,
            () = activity.closed() => return,
            () = dropped.cancelled() => return,
            () = finish.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = before_deadline(connection, &activity) => ended,
                    () = activity.closed() => return,
                    () = dropped.cancelled() => return,
                }
            }
        };
        match ended {
            Some(Err(error)) => tracing::debug!(%peer, %error, "connection ended"),
            Some(Ok(())) => {}
            None => tracing::debug!(%peer, "connection ended: no request in time"),
        }
    }
}

/// Runs a connection to its end; returns `None` if its deadline passes first.
async fn before_deadline<C: Future>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
) -> Option<C::Output> {
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        // Only what was polled above changes the deadline.
        let Some(deadline) = activity.deadline() else {
            return Poll::Pending;
        };
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context).map(|()| None)
    })
    .await
}

async fn answer(
    router: Router,
    request: Request<Incoming>,
    class: Class,
    limits: Limits,
) -> Response<Body> {
    let is_allowed = class == Class::Any || limits.is_health(request.uri().path());
    let mut response = if is_allowed {
        match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    } else {
        let retry = [(header::RETRY_AFTER, RETRY_AFTER)];
        (
            StatusCode::SERVICE_UNAVAILABLE,
            retry,
            "too many connections\n",
        )
            .into_response()
    };
    if class == Class::Health {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}
