//! The gRPC probe: `grpc.health.v1.Health/Check` over plain HTTP/2. Whatever goes wrong is the target's failure.

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::outcome::{Outcome, Reason, Verdict};
use crate::text;
use crate::tls::Tls;

mod call;
mod connect;
mod status;

use status::{Code, Status};

/// The words of a failure.
struct Fault {
    reason: Reason,
    text: String,
}

/// Asks the health service at `host` and `port` about `service`, within `timeout` for the connection and the call.
///
/// A refused connection is tried again until the time is up, as gRPC's client does.
pub async fn probe(
    host: &str,
    port: u16,
    service: &str,
    user_agent: &str,
    timeout: Duration,
) -> Outcome {
    probe_over(None, host, port, service, user_agent, timeout).await
}

/// The same over TLS, where `tls` is given. The kubelet cannot do that.
pub async fn probe_over(
    tls: Option<&Tls>,
    host: &str,
    port: u16,
    service: &str,
    user_agent: &str,
    timeout: Duration,
) -> Outcome {
    let start = Instant::now();
    let peer = Peer {
        tls,
        host,
        port,
        user_agent,
        timeout,
        deadline: start + timeout,
    };
    let (verdict, reason, output) = match peer.ask(service).await {
        Ok(()) => (Verdict::Success, None, "service healthy".to_owned()),
        Err(fault) => (Verdict::Failure, Some(fault.reason), fault.text),
    };
    Outcome {
        verdict,
        reason,
        output,
        took: start.elapsed(),
    }
}

struct Peer<'a> {
    tls: Option<&'a Tls>,
    host: &'a str,
    port: u16,
    user_agent: &'a str,
    timeout: Duration,
    deadline: Instant,
}

impl Peer<'_> {
    async fn ask(&self, service: &str) -> Result<(), Fault> {
        let channel = self.connected().await?;
        let address = self.address();
        let call = call::check(channel, &address, service, self.user_agent);
        let answer = timeout_at(self.deadline, call)
            .await
            .unwrap_or_else(|_| Err(Status::new(Code::DeadlineExceeded, "")));
        match answer {
            Ok(call::SERVING) => Ok(()),
            Ok(status) => Err(Fault {
                reason: Reason::NotServing,
                text: format!(
                    "service unhealthy (responded with {:?})",
                    call::serving_status(status)
                ),
            }),
            Err(status) => Err(self.rpc_fault(&status)),
        }
    }

    fn rpc_fault(&self, status: &Status) -> Fault {
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
                    text::duration(self.timeout)
                ),
            ),
            _ => (
                Reason::Protocol,
                format!("error: health rpc probe failed: {status}"),
            ),
        };
        Fault { reason, text }
    }

    /// A connection on which the peer has begun to speak HTTP/2.
    async fn connected(&self) -> Result<connect::Channel, Fault> {
        let mut pause = connect::FIRST_PAUSE;
        loop {
            let attempt = connect::attempt(self.tls, self.host, self.port, self.deadline);
            let (reason, why) = match timeout_at(self.deadline, attempt).await {
                Ok(Ok(channel)) => return Ok(channel),
                Ok(Err(refused)) => refused,
                Err(_) => (Reason::ConnectTimeout, None),
            };
            let again = Instant::now() + pause;
            if again >= self.deadline {
                sleep_until(self.deadline).await;
                return Err(self.not_connected(reason, why));
            }
            sleep_until(again).await;
            pause = pause.mul_f64(connect::FACTOR);
        }
    }

    fn not_connected(&self, reason: Reason, why: Option<String>) -> Fault {
        let mut text = format!(
            "timeout: failed to connect service {:?} within {}: context deadline exceeded",
            self.address(),
            text::duration(self.timeout)
        );
        if let Some(why) = why {
            text.push_str(&format!(": {why}"));
        }
        Fault { reason, text }
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
