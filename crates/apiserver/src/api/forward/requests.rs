//! A client opens two streams for each connection to a port: one for what is carried, and one for what goes wrong. They name
//! the same request.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::super::spdy::{Headers, Stream, Streams};
use super::Pod;
use super::connection::forward;

/// The streams of a client that forwards ports.
pub(super) struct Requests {
    pod: Pod,
    /// Those whose other one has not come yet.
    waiting: HashMap<String, (Kind, Stream)>,
    connections: JoinSet<()>,
}

impl Requests {
    pub(super) fn to(pod: Pod) -> Self {
        Self {
            pod,
            waiting: HashMap::new(),
            connections: JoinSet::new(),
        }
    }
}

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Data,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Self::Error),
            "data" => Some(Self::Data),
            _ => None,
        }
    }
}

pub(super) struct Purpose {
    kind: Kind,
    request: String,
    port: u16,
}

impl Streams for Requests {
    type Purpose = Purpose;

    fn purpose(&self, headers: &Headers) -> Option<Purpose> {
        Some(Purpose {
            kind: Kind::named(headers.get("streamtype")?)?,
            request: headers.get("requestid")?.to_owned(),
            port: headers.get("port")?.parse().ok().filter(|port| *port > 0)?,
        })
    }

    /// Connects once both streams of a request are there.
    fn open(&mut self, purpose: Purpose, mut stream: Stream) {
        while self.connections.try_join_next().is_some() {}
        let Purpose {
            kind,
            request,
            port,
        } = purpose;
        if kind == Kind::Error {
            stream.input.close();
        }
        let (errors, carried) = match (self.waiting.remove(&request), kind) {
            (Some((Kind::Error, errors)), Kind::Data) => (errors, stream),
            (Some((Kind::Data, carried)), Kind::Error) => (stream, carried),
            (_, kind) => {
                self.waiting.insert(request, (kind, stream));
                return;
            }
        };
        let connection = forward(self.pod.clone(), port, errors, carried);
        self.connections.spawn(connection);
    }
}
