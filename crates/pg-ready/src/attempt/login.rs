//! The protocol after the connection: only the startup packet, or a session with checks.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Ready, ready};
use std::io;
use std::pin::pin;

use futures::FutureExt as _;
use futures::future::{Either, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout_at;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::connect::{Address, Duplex, Stream, not_postgres};
use super::session_attributes::SessionProperties;
use super::{Failure, ServerAttempt, cancel};
use crate::check::session::Session;
use crate::check::{self, Check};
use crate::message_limits::LimitedStream;
use crate::protocol::{self, MAX_MESSAGE_LEN, ServerError, StartupReply, TERMINATE};
use crate::report::{CheckReport, Phase};
use crate::state::State;

impl ServerAttempt<'_> {
    /// Logs in and runs the checks; without checks only sends the startup packet.
    pub(super) async fn login(
        &mut self,
        stream: Stream,
        address: &Address,
    ) -> Result<Option<String>, Failure> {
        self.timer.start(Phase::Login);
        if self.request.checks.is_empty() {
            return self.startup_handshake(stream).await;
        }
        self.run_session(stream, address).await.map(|()| None)
    }

    /// Sends the startup packet and classifies the reply as `pg_isready` does.
    async fn startup_handshake(&self, mut stream: Stream) -> Result<Option<String>, Failure> {
        let plan = &self.request.plan;
        let packet =
            protocol::encode_startup_packet(&plan.user, &plan.database, &plan.application_name);
        stream.write_all(&packet).await?;
        stream.flush().await?;
        let mut received = Vec::with_capacity(1024);
        let mut chunk = [0; 1024];
        loop {
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            received.extend_from_slice(&chunk[..count]);
            match protocol::parse_startup_reply(&received) {
                StartupReply::Incomplete if received.len() < MAX_MESSAGE_LEN => {}
                StartupReply::Incomplete | StartupReply::NotPostgres => return Err(not_postgres()),
                StartupReply::Accepting => {
                    if protocol::is_authentication_ok(&received) {
                        let _ = stream.write_all(&TERMINATE).await;
                    }
                    // Only keeps errors out of the server's log, so a failure is ignored.
                    let _ = stream.shutdown().await;
                    return Ok(protocol::find_server_error(&received).map(|error| error.message));
                }
                StartupReply::Rejecting => {
                    let error = protocol::find_server_error(&received).unwrap_or_default();
                    return Err(Failure::from_server_error(error));
                }
            }
        }
    }

    /// Logs in and runs the checks in turn until one fails; cancels the statement that runs when the time expires.
    async fn run_session(&mut self, stream: Stream, address: &Address) -> Result<(), Failure> {
        let (request, target, attributes) = (self.request, self.target, self.attributes);
        let config = self.config();
        let permitted = request.plan.permitted_methods;
        let login = config
            .connect_raw(LimitedStream::new(stream, permitted), NegotiatedTls)
            .await;
        let (client, connection) = login.map_err(|error| {
            let mut failure = Failure::from(error).during_login();
            if let (State::BadPassword, Some(warning)) =
                (failure.state, request.passwords.warning())
            {
                failure.reason += &format!("; {warning}");
            }
            failure
        })?;
        self.server.version = connection.parameter("server_version").map(str::to_owned);
        let reported = SessionProperties::from_parameters(|name| connection.parameter(name));
        self.timer.start(Phase::Checks);
        let deadline = self.deadline.map(cancel::checks_deadline);
        let token = client.cancel_token();
        let session = Session::new(client, deadline.filter(|_| self.announces_deadline()));
        let reports = &mut self.checks;
        let checks = async move {
            attributes.check(&session, reported).await?;
            run_checks(session, &request.checks, reports).await
        };
        let mut finished = pin!(drive(checks, connection));
        match deadline {
            None => finished.await,
            Some(deadline) => match timeout_at(deadline, finished.as_mut()).await {
                Ok(result) => result,
                Err(_) => {
                    cancel::cancel(request, target, address, self.server.tls, token).await;
                    Err(Failure::timeout())
                }
            },
        }
    }

    /// Returns `false` if the server has no `statement_timeout`, or if the settings contain another one.
    fn announces_deadline(&self) -> bool {
        // The version of PgBouncer's console is that of PgBouncer, such as "1.18.0/bouncer".
        let is_console = self
            .server
            .version
            .as_deref()
            .is_some_and(|version| version.ends_with("/bouncer"));
        let options = self.request.options.as_deref().unwrap_or_default();
        !is_console && !options.contains("statement_timeout")
    }

    fn config(&self) -> Config {
        let plan = &self.request.plan;
        let mut config = Config::new();
        config.user(&plan.user).dbname(&plan.database);
        // TLS has been negotiated already, so tokio-postgres must not send SSLRequest.
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct)
            .channel_binding(self.request.tls.channel_binding);
        if !plan.application_name.is_empty() {
            config.application_name(&plan.application_name);
        }
        if let Some(options) = &self.request.options {
            config.options(options);
        }
        let (host, port) = (self.target.pgpass_host(), self.server.port);
        let passwords = &self.request.passwords;
        if let Some(password) = passwords.find(&host, port, &plan.database, &plan.user) {
            config.password(password);
        }
        config
    }
}

/// Runs the checks while `connection` transports their messages.
async fn drive(
    checks: impl Future<Output = Result<(), Failure>>,
    connection: impl Future<Output = Result<(), tokio_postgres::Error>>,
) -> Result<(), Failure> {
    // `select` owns the connection and drops it when it has finished; kept alive, it would leave a check waiting for a
    // response that cannot arrive.
    match select(pin!(checks), Box::pin(connection)).await {
        Either::Left((result, connection)) => {
            // The client has been dropped, so one poll sends Terminate if the socket accepts it.
            let _ = connection.now_or_never();
            result
        }
        // Responses that were received before the connection closed are still queued.
        Either::Right((closed, checks)) => match (checks.await, closed) {
            (Err(failure), Err(error)) if failure.state == State::Closed => Err(error.into()),
            (result, _) => result,
        },
    }
}

/// A TLS connector that returns the stream unchanged, because TLS has been negotiated or is not wanted.
pub(super) struct NegotiatedTls;

// Generic although `S` is always `dyn Duplex`: with the elided lifetime of a `dyn`, the future of `check()` would not
// be `Send`.
impl<S: Duplex + ?Sized> TlsConnect<LimitedStream<Box<S>>> for NegotiatedTls {
    type Stream = LimitedStream<Box<S>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: LimitedStream<Box<S>>) -> Self::Future {
        ready(Ok(stream))
    }
}

impl<S: Duplex + ?Sized> TlsStream for LimitedStream<Box<S>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.get_ref().binding_data()
    }
}

/// Takes the session by value: its drop closes the connection.
async fn run_checks(
    session: Session,
    checks: &[Check],
    reports: &mut Vec<CheckReport>,
) -> Result<(), Failure> {
    for check in checks {
        let (report, result) = check::run::run(&session, check).await;
        reports.push(report);
        result?;
    }
    Ok(())
}

impl Failure {
    /// Corrects the state of an error whose SQLSTATE is unknown: during a login it is not a failed query.
    fn during_login(mut self) -> Self {
        if self.state == State::QueryFailed {
            self.state = State::Rejecting;
        }
        self
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(response) = error.as_db_error() {
            return Self::from_server_error(ServerError {
                code: response.code().code().to_owned(),
                message: response.message().to_owned(),
                routine: response.routine().unwrap_or_default().to_owned(),
            });
        }
        let cause = error.source().map(ToString::to_string);
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        match (source, cause) {
            (Some(source), Some(cause)) => io::Error::new(source.kind(), cause).into(),
            _ if error.is_closed() => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            (None, Some(cause)) if cause == "password missing" => Self::new(
                State::BadPassword,
                "the server requires a password; set PGPASSWORD, PGPASSFILE or --password-file",
            ),
            (None, Some(cause)) if cause == "server did not use channel binding" => Self::new(
                State::TlsFailed,
                "channel_binding=require, but the server does not support channel binding",
            ),
            (None, cause) => Self::new(
                State::Protocol,
                &cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
            ),
            (Some(_), None) => Self::new(State::Protocol, &error.to_string()),
        }
    }
}
