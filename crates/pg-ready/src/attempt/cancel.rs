//! Cancel requests: a statement of a check does not outlive the check.

use tokio::time::{Duration, Instant};
use tokio_postgres::CancelToken;

use super::connect::{self, Address};
use super::login::NegotiatedTls;
use crate::message_limits::LimitedStream;
use crate::request::Request;
use crate::target::Target;

/// Maximum time before the deadline that is reserved for a cancel request.
const MAX_CANCEL_TIME: Duration = Duration::from_millis(500);
/// A cancel request gets at most a fifth of the time that is left for the checks.
const CANCEL_DIVISOR: u32 = 5;

/// Returns the deadline of the checks, which leaves time for a cancel request until `deadline`.
pub(super) fn checks_deadline(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline - MAX_CANCEL_TIME.min(left / CANCEL_DIVISOR)
}

/// Sends a cancel request over a connection of its own, encrypted if the session is.
///
/// The caller keeps the session open meanwhile: the server logs a request for a session that does not exist.
pub(super) async fn cancel(
    request: &Request,
    target: &Target,
    address: &Address,
    is_encrypted: bool,
    token: CancelToken,
) {
    let Ok(mut stream) = connect::connect(address, request.plan.required_peer.as_deref()).await
    else {
        return;
    };
    if is_encrypted {
        match connect::negotiate_tls(stream, &request.tls, &target.certificate_name()).await {
            Ok((encrypted, _)) => stream = encrypted,
            Err(_) => return,
        }
    }
    let stream = LimitedStream::new(stream, request.plan.permitted_methods);
    // The server's only reply is the end of the connection.
    let _ = token.cancel_query_raw(stream, NegotiatedTls).await;
}
