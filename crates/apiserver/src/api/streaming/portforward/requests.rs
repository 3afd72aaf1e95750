//! Pairing of SPDY streams. A client opens two streams for each connection, one for data and one for errors, with the same
//! request ID.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::super::spdy::{Headers, Stream, StreamHandler};
use super::TargetPod;
use super::connection::forward;

/// Forwarded connections of one client.
pub(super) struct ForwardRequests {
    pod: TargetPod,
    /// Streams without their counterpart, by request ID.
    unpaired: HashMap<String, (StreamType, Stream)>,
    connections: JoinSet<()>,
}

impl ForwardRequests {
    pub(super) fn new(pod: TargetPod) -> Self {
        Self {
            pod,
            unpaired: HashMap::new(),
            connections: JoinSet::new(),
        }
    }
}

/// Value of the header `streamType`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamType {
    Error,
    Data,
}

impl StreamType {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "error" => Some(Self::Error),
            "data" => Some(Self::Data),
            _ => None,
        }
    }
}

pub(super) struct ForwardRole {
    stream_type: StreamType,
    request_id: String,
    port: u16,
}

impl StreamHandler for ForwardRequests {
    type StreamRole = ForwardRole;

    fn role(&self, headers: &Headers) -> Option<ForwardRole> {
        Some(ForwardRole {
            stream_type: StreamType::parse(headers.get("streamtype")?)?,
            request_id: headers.get("requestid")?.to_owned(),
            port: headers.get("port")?.parse().ok().filter(|port| *port > 0)?,
        })
    }

    /// Connects to the pod once both streams of a request are open.
    fn open(&mut self, role: ForwardRole, mut stream: Stream) {
        while self.connections.try_join_next().is_some() {}
        let ForwardRole {
            stream_type,
            request_id,
            port,
        } = role;
        if stream_type == StreamType::Error {
            stream.input.close();
        }
        let (error_stream, data_stream) = match (self.unpaired.remove(&request_id), stream_type) {
            (Some((StreamType::Error, error_stream)), StreamType::Data) => (error_stream, stream),
            (Some((StreamType::Data, data_stream)), StreamType::Error) => (stream, data_stream),
            _ => {
                self.unpaired.insert(request_id, (stream_type, stream));
                return;
            }
        };
        let connection = forward(self.pod.clone(), port, error_stream, data_stream);
        self.connections.spawn(connection);
    }
}
