//! The extended check: async, and safe to cancel. A dropped attempt leaves only a closed connection.

use tokio::time::{Instant, timeout_at};

use crate::protocol::ServerError;
use crate::report::{CheckReport, Phase, PhaseTimer, Report, ServerInfo};
use crate::request::Request;
use crate::state::State;
use crate::target::Target;
use crate::tls::Mode;

mod cancel;
mod connect;
mod login;
mod resolver;
mod session_attributes;

pub(crate) use session_attributes::SessionAttributes;

/// The state in which an attempt failed, and the reason.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) state: State,
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn new(state: State, reason: &str) -> Self {
        Self {
            state,
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn from_server_error(error: ServerError) -> Self {
        Self {
            state: State::from_server_error(&error),
            reason: error.message,
        }
    }

    fn timeout() -> Self {
        Self::new(State::Timeout, "no reply within the timeout")
    }
}

/// Checks the servers of `request` in turn until one accepts connections and passes all checks.
///
/// The request's timeout limits the whole attempt; each server gets an equal share of the time that is left. Dropping
/// the future cancels the attempt. Needs a tokio runtime with I/O and time enabled.
pub async fn check(request: &Request) -> Report {
    let deadline = request.timeout.map(|timeout| Instant::now() + timeout);
    if let Some(reason) = &request.plan.login_refusal
        && !request.checks.is_empty()
    {
        return Report::no_attempt(reason.clone());
    }
    let targets = request.plan.ordered_targets();
    let mut last = Report::no_attempt("no server is configured".to_owned());
    for attributes in request.plan.session_attributes.passes() {
        for (index, target) in targets.iter().copied().enumerate() {
            let share = deadline.map(|deadline| share_deadline(deadline, targets.len() - index));
            let attempt = ServerAttempt::new(request, target, attributes);
            last = attempt.run(share).await;
            let is_final = match last.state {
                State::Accepting => true,
                // libpq stops at a server that violates the protocol or that lacks the required TLS.
                State::Protocol | State::TlsFailed => request.checks.is_empty(),
                _ => false,
            };
            if is_final {
                return last;
            }
        }
    }
    last
}

/// Returns the end of the first of `count` equal parts of the time until `deadline`.
fn share_deadline(deadline: Instant, count: usize) -> Instant {
    let now = Instant::now();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / count
}

/// An attempt on one server.
struct ServerAttempt<'a> {
    request: &'a Request,
    target: &'a Target,
    attributes: SessionAttributes,
    deadline: Option<Instant>,
    timer: PhaseTimer,
    server: ServerInfo,
    checks: Vec<CheckReport>,
}

impl<'a> ServerAttempt<'a> {
    fn new(request: &'a Request, target: &'a Target, attributes: SessionAttributes) -> Self {
        let (host, port) = target.host_and_port();
        Self {
            request,
            target,
            attributes,
            deadline: None,
            timer: PhaseTimer::new(),
            server: ServerInfo {
                host,
                port,
                ..ServerInfo::default()
            },
            checks: Vec::new(),
        }
    }

    async fn run(mut self, deadline: Option<Instant>) -> Report {
        self.deadline = deadline;
        let result = match deadline {
            None => self.try_addresses().await,
            Some(deadline) => match timeout_at(deadline, self.try_addresses()).await {
                Ok(result) => result,
                Err(_) => Err(Failure::timeout()),
            },
        };
        let (phase, phases) = self.timer.finish();
        let (state, reason) = match result {
            Ok(server_message) => (State::Accepting, server_message),
            Err(failure) => (failure.state, Some(failure.reason)),
        };
        Report {
            state,
            ping_status: state.ping_status(),
            reason,
            phase: (state != State::Accepting).then_some(phase),
            server: self.server,
            phases,
            checks: self.checks,
        }
    }

    /// Tries the addresses of the server until one can be connected to.
    ///
    /// An accepting server's error about this client, such as an unknown role, is returned as a message.
    async fn try_addresses(&mut self) -> Result<Option<String>, Failure> {
        let addresses = connect::resolve(self.target).await?;
        let mut failure = Failure::new(State::DnsFailure, "the host name has no address");
        for (index, address) in addresses.iter().enumerate() {
            let left = addresses.len() - index;
            let starts_encrypted = self.request.tls.mode >= Mode::Prefer;
            match self.connect(address, left, starts_encrypted).await {
                Ok(stream) => {
                    return match self.login(stream, address).await {
                        Err(failure) if self.should_retry(address, &failure) => {
                            self.retry_login(address, failure).await
                        }
                        result => result,
                    };
                }
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// Returns `true` if libpq would log in again, with `prefer` without TLS and with `allow` with TLS.
    ///
    /// Unlike libpq, this does not repeat a login whose password is wrong: that counts as a second failed attempt.
    fn should_retry(&self, address: &connect::Address, failure: &Failure) -> bool {
        let is_other_possible = match self.request.tls.mode {
            Mode::Prefer => self.server.tls,
            Mode::Allow => address.is_ip(),
            _ => false,
        };
        is_other_possible && failure.state == State::NotPermitted && self.checks.is_empty()
    }

    /// Repeats a login that failed, with TLS if it was not encrypted and the reverse.
    async fn retry_login(
        &mut self,
        address: &connect::Address,
        failure: Failure,
    ) -> Result<Option<String>, Failure> {
        let was_encrypted = std::mem::take(&mut self.server.tls);
        match self.connect(address, 1, !was_encrypted).await {
            Ok(stream) if self.server.tls != was_encrypted => self.login(stream, address).await,
            _ => Err(failure),
        }
    }

    /// Connects to the first of `count` remaining addresses and negotiates TLS if `encrypted` is set, except over a
    /// Unix-domain socket.
    async fn connect(
        &mut self,
        address: &connect::Address,
        count: usize,
        encrypted: bool,
    ) -> Result<connect::Stream, Failure> {
        self.timer.start(Phase::Connect);
        self.server.address = Some(address.to_string());
        let plain = self.connect_with_share(address, count).await?;
        if !encrypted || !address.is_ip() {
            return Ok(plain);
        }
        self.timer.start(Phase::Tls);
        let name = self.target.certificate_name();
        match connect::negotiate_tls(plain, &self.request.tls, &name).await {
            Ok((stream, encrypted)) => {
                self.server.tls = encrypted;
                Ok(stream)
            }
            Err(failure) if self.request.tls.mode > Mode::Prefer => Err(failure),
            // libpq retries without TLS if `sslmode` only prefers it.
            Err(_) => {
                self.timer.start(Phase::Connect);
                self.connect_with_share(address, count).await
            }
        }
    }

    /// Connects within an equal share of the time that is left for `count` addresses.
    async fn connect_with_share(
        &self,
        address: &connect::Address,
        count: usize,
    ) -> Result<connect::Stream, Failure> {
        let connecting = connect::connect(address, self.request.plan.required_peer.as_deref());
        match self.deadline {
            // The last address may use all the time that is left; the caller enforces that deadline.
            Some(deadline) if count > 1 => timeout_at(share_deadline(deadline, count), connecting)
                .await
                .unwrap_or_else(|_| Err(Failure::timeout())),
            _ => connecting.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn future_of_a_check_is_send() {
        fn assert_send(_: impl Send) {}
        assert_send(check(&Request::parse("").unwrap()));
    }
}
