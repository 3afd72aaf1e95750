//! The gRPC probe: `grpc.health.v1.Health/Check` over HTTP/2. Each error is a failure of the target, as in the kubelet.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::go_format;
use crate::outcome::{Outcome, Reason, Verdict};
use crate::tls::Tls;

mod call;
mod connect;
mod status;

use status::{Code, Status};

/// A failed probe.
struct GrpcError {
    reason: Reason,
    text: String,
}

/// Requests the status of `service` from the server at `host` and `port`. `timeout` includes connection and call.
///
/// A refused connection is retried until the timeout, as by gRPC's client.
pub async fn probe(
    host: &str,
    port: u16,
    service: &str,
    user_agent: &str,
    timeout: Duration,
) -> Outcome {
    probe_with_tls(None, host, port, service, user_agent, timeout).await
}

/// Like [`probe`], over TLS if `tls` is given, which the kubelet does not support.
pub async fn probe_with_tls(
    tls: Option<&Tls>,
    host: &str,
    port: u16,
    service: &str,
    user_agent: &str,
    timeout: Duration,
) -> Outcome {
    let start = Instant::now();
    let server = Server {
        tls,
        host,
        port,
        user_agent,
        timeout,
        deadline: start + timeout,
    };
    let (verdict, reason, output) = match server.check(service).await {
        Ok(()) => (Verdict::Success, None, "service healthy".to_owned()),
        Err(error) => (Verdict::Failure, Some(error.reason), error.text),
    };
    Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    }
}

struct Server<'a> {
    tls: Option<&'a Tls>,
    host: &'a str,
    port: u16,
    user_agent: &'a str,
    timeout: Duration,
    deadline: Instant,
}

impl Server<'_> {
    async fn check(&self, service: &str) -> Result<(), GrpcError> {
        let channel = self.connect().await?;
        let address = self.address();
        let call = call::check(channel, &address, service, self.user_agent);
        let status = timeout_at(self.deadline, call)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "")));
        match status {
            Ok(call::SERVING) => Ok(()),
            Ok(status) => Err(GrpcError {
                reason: Reason::NotServing,
                text: format!(
                    "service unhealthy (responded with {:?})",
                    call::serving_status_name(status)
                ),
            }),
            Err(status) => Err(self.rpc_error(&status)),
        }
    }

    fn rpc_error(&self, status: &Status) -> GrpcError {
        let (reason, text) = match status.code {
            Code::Unimplemented => (
                Reason::Protocol,
                format!(
                    "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {}",
                    status.message
                ),
            ),
            Code::DeadlineExceeded => (
                Reason::ResponseTimeout,
                format!(
                    "timeout: health rpc did not complete within {}",
                    go_format::duration(self.timeout)
                ),
            ),
            _ => (
                Reason::Protocol,
                format!("error: health rpc probe failed: {status}"),
            ),
        };
        GrpcError { reason, text }
    }

    /// Connects until the peer has sent HTTP/2 settings, with gRPC's back-off.
    async fn connect(&self) -> Result<connect::Channel, GrpcError> {
        let mut backoff = connect::INITIAL_BACKOFF;
        loop {
            let attempt = connect::attempt(self.tls, self.host, self.port, self.deadline);
            let (reason, cause) = match timeout_at(self.deadline, attempt).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(error)) => error,
                Err(_) => (Reason::ConnectTimeout, None),
            };
            let retry_at = Instant::now() + backoff;
            if retry_at >= self.deadline {
                sleep_until(self.deadline).await;
                return Err(self.connect_error(reason, cause));
            }
            sleep_until(retry_at).await;
            backoff = backoff.mul_f64(connect::BACKOFF_FACTOR);
        }
    }

    fn connect_error(&self, reason: Reason, cause: Option<String>) -> GrpcError {
        let mut text = format!(
            "timeout: failed to connect service {:?} within {}: context deadline exceeded",
            self.address(),
            go_format::duration(self.timeout)
        );
        if let Some(cause) = cause {
            text.push_str(&format!(": {cause}"));
        }
        GrpcError { reason, text }
    }

    fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
