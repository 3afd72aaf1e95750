//! Serves one HTTP connection until it ends, a deadline passes, or another connection needs its slot.

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
use super::framing;
use super::observed::{ResponseBody, Stream};
use crate::Limits;

/// Seconds after which a rejected client may retry.
const RETRY_AFTER: &str = "1";

/// Requests that are served on a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Any,
    /// One health request, on a reserved connection.
    Health,
}

/// Accepted connection.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: Slot,
    pub(super) class: Class,
    pub(super) limits: Limits,
}

/// Error for a request on a connection that was closed for another one.
#[derive(Debug, thiserror::Error)]
#[error("closed for another connection")]
struct Evicted;

impl Connection {
    /// Serves the connection. `finish` closes it after the current request, `close` immediately.
    pub(super) async fn serve(
        self,
        router: Router,
        finish: CancellationToken,
        close: CancellationToken,
    ) {
        let peer = self.peer;
        let activity = Arc::new(Activity::new(self.slot, self.limits));
        let (serving, class, limits) = (activity.clone(), self.class, self.limits);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let is_admitted = serving.start_serving();
            let (activity, router) = (serving.clone(), router.clone());
            async move {
                if !is_admitted {
                    return Err(Evicted);
                }
                request.extensions_mut().insert(Peer(peer));
                let response = respond(router, request, class, limits).await;
                Ok(response.map(|body| ResponseBody::new(body, activity)))
            }
        });
        let mut stream = TimeoutStream::new(self.stream);
        stream.set_write_timeout(Some(limits.write_timeout));
        let stream = Stream::new(stream, activity.clone());
        let connection = http1::Builder::new()
            // `Activity` has the deadlines.
            .header_read_timeout(None)
            .max_buf_size(limits.header_bytes)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = before_deadline(connection.as_mut(), &activity) => ended,
            () = activity.evicted() => return,
            () = close.cancelled() => return,
            () = finish.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = before_deadline(connection, &activity) => ended,
                    () = activity.evicted() => return,
                    () = close.cancelled() => return,
                }
            }
        };
        match ended {
            Some(Err(error)) => tracing::debug!(%peer, %error, "connection closed with an error"),
            Some(Ok(())) => {}
            None => tracing::debug!(%peer, "connection closed: no request before the deadline"),
        }
    }
}

/// Polls a connection to completion; returns `None` if its deadline passes first.
async fn before_deadline<C: Future>(
    mut connection: Pin<&mut C>,
    activity: &Activity,
) -> Option<C::Output> {
    let mut timer = pin!(sleep_until(Instant::now()));
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        // Only the poll above changes the deadline.
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

async fn respond(
    router: Router,
    request: Request<Incoming>,
    class: Class,
    limits: Limits,
) -> Response<Body> {
    let is_allowed = class == Class::Any || limits.is_health_path(request.uri().path());
    let mut response = if let Some(rejection) = framing::rejection(&request) {
        rejection
    } else if is_allowed {
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
