//! Connections that outlive their request: exec, attach and port-forward over SPDY or WebSocket, and logs and watches
//! over WebSocket.

pub(super) mod portforward;
pub(super) mod remotecommand;
pub(in crate::api) mod spdy;
mod websocket;
pub(super) mod websocket_stream;

/// Maximum number of bytes that are read from one side before they are written to the other.
const CHUNK_LEN: usize = 32 << 10;
