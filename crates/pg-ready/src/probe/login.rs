//! What is said over a stream: only hello, or a session with checks.

use std::convert::Infallible;
use std::error::Error as _;
use std::future::{Ready, ready};
use std::io;
use std::pin::pin;

use futures::FutureExt as _;
use futures::future::{Either, select};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config};

use super::connect::{Duplex, Stream};
use super::{Attempt, Failure};
use crate::check::{self, Check};
use crate::guard::Guarded;
use crate::protocol::{self, Answer, MAX_MESSAGE, ServerError, TERMINATE};
use crate::report::{CheckReport, Phase};
use crate::state::State;

impl Attempt<'_> {
    pub(super) async fn enter(&mut self, stream: Stream) -> Result<Option<String>, Failure> {
        self.meter.enter(Phase::Login);
        if self.request.checks.is_empty() {
            return self.hello(stream).await;
        }
        self.session(stream).await.map(|()| None)
    }

    /// The contract's question: does the server take us for someone to talk to?
    async fn hello(&self, mut stream: Stream) -> Result<Option<String>, Failure> {
        let plan = &self.request.plan;
        let hello = protocol::startup_packet(&plan.user, &plan.database, &plan.application);
        stream.write_all(&hello).await?;
        let mut held = Vec::with_capacity(1024);
        let mut part = [0; 1024];
        loop {
            let count = stream.read(&mut part).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            held.extend_from_slice(&part[..count]);
            match protocol::read_answer(&held) {
                Answer::Incomplete if held.len() < MAX_MESSAGE => {}
                Answer::Incomplete | Answer::Foreign => {
                    return Err(Failure::new(
                        State::Protocol,
                        "what answers is no PostgreSQL server",
                    ));
                }
                Answer::Up => {
                    if protocol::lets_in(&held) {
                        // That it leaves is a courtesy to the server's log; that it cannot changes nothing.
                        let _ = stream.write_all(&TERMINATE).await;
                    }
                    return Ok(protocol::server_error(&held).map(|error| error.message));
                }
                Answer::Rejecting => {
                    let error = protocol::server_error(&held).unwrap_or_default();
                    return Err(Failure::refused(error));
                }
            }
        }
    }

    /// A session of a role, in which the checks are made one after the other until one fails.
    async fn session(&mut self, stream: Stream) -> Result<(), Failure> {
        let config = self.config();
        let login = config.connect_raw(Guarded::new(stream), Agreed).await;
        let (client, connection) = login.map_err(|error| Failure::from(error).of_login())?;
        self.server.version = connection.parameter("server_version").map(str::to_owned);
        self.meter.enter(Phase::Checks);
        let work = pin!(make(client, &self.request.checks, &mut self.checks));
        // The connection is given away: once it has ended, nothing of it may keep an answer waiting.
        match select(work, Box::pin(connection)).await {
            Either::Left((result, connection)) => {
                // The client is gone; this sends the farewell, as far as it can be sent at once.
                let _ = connection.now_or_never();
                result
            }
            // Answers may be there still when the connection has ended already.
            Either::Right((ended, work)) => match (work.await, ended) {
                (Err(failure), Err(error)) if failure.state == State::Closed => Err(error.into()),
                (result, _) => result,
            },
        }
    }

    fn config(&self) -> Config {
        let plan = &self.request.plan;
        let mut config = Config::new();
        config.user(&plan.user).dbname(&plan.database);
        // Whatever there is of TLS has been agreed on: the library is not to ask again.
        config
            .ssl_mode(SslMode::Require)
            .ssl_negotiation(SslNegotiation::Direct)
            .channel_binding(self.request.tls.binding);
        if !plan.application.is_empty() {
            config.application_name(&plan.application);
        }
        if let Some(options) = &self.request.options {
            config.options(options);
        }
        let (host, port) = (self.target.password_host(), self.server.port);
        let passwords = &self.request.passwords;
        if let Some(password) = passwords.find(&host, port, &plan.database, &plan.user) {
            config.password(password);
        }
        config
    }
}

/// A handshake that has been made, or that nobody wants: the library gets the stream as it is.
struct Agreed;

// For any kind of stream, although there is one: of a `dyn` with a lifetime that is none, a caller's future would not be `Send`.
impl<S: Duplex + ?Sized> TlsConnect<Guarded<Box<S>>> for Agreed {
    type Stream = Guarded<Box<S>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: Guarded<Box<S>>) -> Self::Future {
        ready(Ok(stream))
    }
}

impl<S: Duplex + ?Sized> TlsStream for Guarded<Box<S>> {
    fn channel_binding(&self) -> ChannelBinding {
        self.get_ref().binding()
    }
}

async fn make(
    client: Client,
    checks: &[Check],
    reports: &mut Vec<CheckReport>,
) -> Result<(), Failure> {
    for check in checks {
        let (report, result) = check::run::run(&client, check).await;
        reports.push(report);
        result?;
    }
    Ok(())
}

impl Failure {
    /// A refusal to let us in is no failed query.
    fn of_login(mut self) -> Self {
        if self.state == State::QueryFailed {
            self.state = State::Rejecting;
        }
        self
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return Self::refused(ServerError {
                code: refusal.code().code().to_owned(),
                message: refusal.message().to_owned(),
                routine: refusal.routine().unwrap_or_default().to_owned(),
            });
        }
        let why = error.source().map(ToString::to_string);
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>());
        match (source, why) {
            (Some(source), Some(why)) => io::Error::new(source.kind(), why).into(),
            _ if error.is_closed() => io::Error::from(io::ErrorKind::UnexpectedEof).into(),
            (None, Some(why)) if why == "password missing" => Self::new(
                State::BadPassword,
                "the server asks for a password and none is known: PGPASSWORD, PGPASSFILE or --password-file",
            ),
            (None, Some(why)) if why == "server did not use channel binding" => Self::new(
                State::TlsRefused,
                "channel_binding=require, and the server does not bind the password to its certificate",
            ),
            (None, why) => Self::new(
                State::Protocol,
                &why.map_or_else(|| error.to_string(), |why| format!("{error}: {why}")),
            ),
            (Some(_), None) => Self::new(State::Protocol, &error.to_string()),
        }
    }
}
