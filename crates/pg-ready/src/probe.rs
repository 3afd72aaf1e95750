//! One attempt, asynchronous: dropped at any point it leaves nothing behind but a closed connection.

use tokio::time::{Instant, timeout_at};

use crate::protocol::ServerError;
use crate::report::{CheckReport, Meter, Phase, Report, ServerId};
use crate::request::Request;
use crate::state::State;
use crate::target::Target;

mod connect;
mod login;
mod names;

/// Why an attempt failed.
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

    pub(crate) fn refused(error: ServerError) -> Self {
        Self {
            state: State::of(&error),
            reason: error.message,
        }
    }
}

/// Asks the servers of `request` in turn until one passes, each for its share of the time.
pub async fn probe(request: &Request) -> Report {
    let deadline = request.timeout.map(|timeout| Instant::now() + timeout);
    let targets = &request.plan.targets;
    let mut last = Report::no_attempt("no server is named".to_owned());
    for (index, target) in targets.iter().enumerate() {
        let share = deadline.map(|deadline| share(deadline, targets.len() - index));
        last = Attempt::new(request, target).run(share).await;
        let settled = match last.state {
            State::Accepting => true,
            // Whoever is there and speaks another protocol, or not the TLS that is demanded, ends libpq's search.
            State::Protocol | State::TlsRefused => request.checks.is_empty(),
            _ => false,
        };
        if settled {
            break;
        }
    }
    last
}

/// The end of the next of `count` equal parts of the time that is left.
fn share(deadline: Instant, count: usize) -> Instant {
    let now = Instant::now();
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    now + deadline.saturating_duration_since(now) / count
}

/// One server's turn.
struct Attempt<'a> {
    request: &'a Request,
    target: &'a Target,
    deadline: Option<Instant>,
    meter: Meter,
    server: ServerId,
    checks: Vec<CheckReport>,
}

impl<'a> Attempt<'a> {
    fn new(request: &'a Request, target: &'a Target) -> Self {
        let (host, port) = target.name();
        Self {
            request,
            target,
            deadline: None,
            meter: Meter::new(),
            server: ServerId {
                host,
                port,
                ..ServerId::default()
            },
            checks: Vec::new(),
        }
    }

    async fn run(mut self, deadline: Option<Instant>) -> Report {
        self.deadline = deadline;
        let result = match deadline {
            None => self.ask().await,
            Some(deadline) => match timeout_at(deadline, self.ask()).await {
                Ok(result) => result,
                Err(_) => Err(Failure::new(State::Timeout, "no answer in time")),
            },
        };
        let (phase, phases_ms) = self.meter.end();
        let (state, reason) = match result {
            Ok(remark) => (State::Accepting, remark),
            Err(failure) => (failure.state, Some(failure.reason)),
        };
        Report {
            state,
            verdict: state.verdict(),
            reason,
            phase: (state != State::Accepting).then_some(phase),
            server: self.server,
            phases_ms,
            checks: self.checks,
        }
    }

    /// What an accepting server has said against us, if it did.
    async fn ask(&mut self) -> Result<Option<String>, Failure> {
        let addresses = connect::addresses(self.target).await?;
        let mut failure = Failure::new(State::DnsFailure, "the name has no address");
        for (index, address) in addresses.iter().enumerate() {
            let left = addresses.len() - index;
            match self.reach(address, left).await {
                Ok(stream) => return self.enter(stream).await,
                Err(other) => failure = other,
            }
        }
        Err(failure)
    }

    /// A connection to one of `count` addresses that are left, encrypted as asked for.
    async fn reach(
        &mut self,
        address: &connect::Address,
        count: usize,
    ) -> Result<connect::Stream, Failure> {
        self.meter.enter(Phase::Connect);
        self.server.address = Some(address.to_string());
        let plain = self.connected(address, count).await?;
        if !self.wants_tls(address) {
            return Ok(plain);
        }
        self.meter.enter(Phase::Tls);
        match connect::encrypt(plain, &self.request.tls, &self.target.certificate_name()).await {
            Ok((stream, encrypted)) => {
                self.server.tls = encrypted;
                Ok(stream)
            }
            Err(failure) if self.request.tls.mode > crate::tls::Mode::Prefer => Err(failure),
            // As libpq does: who merely prefers TLS does without where it cannot be had.
            Err(_) => {
                self.meter.enter(Phase::Connect);
                self.connected(address, count).await
            }
        }
    }

    async fn connected(
        &self,
        address: &connect::Address,
        count: usize,
    ) -> Result<connect::Stream, Failure> {
        let connecting = connect::connect(address, self.request.plan.peer.as_deref());
        match self.deadline {
            // The last address may take all the time there is; that it ran out is the caller's to say.
            Some(deadline) if count > 1 => timeout_at(share(deadline, count), connecting)
                .await
                .unwrap_or_else(|_| Err(Failure::new(State::Timeout, "no answer in time"))),
            _ => connecting.await,
        }
    }

    /// The contract's question is answered before TLS matters, unless TLS is demanded.
    fn wants_tls(&self, address: &connect::Address) -> bool {
        let mode = self.request.tls.mode;
        let least = if self.request.checks.is_empty() {
            crate::tls::Mode::Require
        } else {
            crate::tls::Mode::Prefer
        };
        mode >= least && address.is_ip()
    }
}
