//! How much one client may ask of a service.

use std::time::Duration;

/// The bounds of [`Server`](crate::Server). The defaults suit services with small bodies.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once; further ones wait in the kernel's backlog.
    pub connections: usize,
    /// How long a client may take to send a request's headers. It also ends idle kept-alive connections.
    pub header_timeout: Duration,
    /// How long a client may pause inside a request's body.
    pub body_timeout: Duration,
    /// How long a client may take to accept the next piece of an answer.
    pub write_timeout: Duration,
    /// The largest request body, in bytes.
    pub body_bytes: usize,
    /// The most a request's line and headers may take together, in bytes.
    pub header_bytes: usize,
}

impl Limits {
    /// What suits services with small bodies.
    pub const DEFAULT: Self = Self {
        connections: 4096,
        header_timeout: Duration::from_secs(15),
        body_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
        body_bytes: 64 * 1024,
        header_bytes: 16 * 1024,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
