//! Limits on what clients can make a service use.

use std::time::Duration;

/// Limits of a [`Server`](crate::Server).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of connections. At the limit the connection that has waited longest for its client's request is closed.
    pub connections: usize,
    /// Number of further connections for [`Self::health_paths`] only, used while every other connection has a request.
    pub reserved_connections: usize,
    /// Paths that are served on reserved connections, with all paths below them.
    pub health_paths: &'static [&'static str],
    /// Time for a request's line and headers: from the start of the connection, or from the first byte of a later request.
    pub header_timeout: Duration,
    /// Maximum time for which a kept-alive connection is idle.
    pub idle_timeout: Duration,
    /// Maximum time between two parts of a request's body.
    pub body_timeout: Duration,
    /// Maximum time for a client to accept the next part of a response.
    pub write_timeout: Duration,
    /// Maximum size of a request's body, in bytes.
    pub body_bytes: usize,
    /// Maximum size of a request's line and headers together, in bytes.
    pub header_bytes: usize,
}

impl Limits {
    /// Limits for services with small bodies.
    pub const DEFAULT: Self = Self {
        connections: 4096,
        reserved_connections: 64,
        health_paths: &["/livez", "/readyz", "/startupz", "/healthz"],
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(15),
        body_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
        body_bytes: 64 * 1024,
        header_bytes: 16 * 1024,
    };

    /// Returns the limits of a reserved connection, which is for a short request and a short response.
    pub(crate) fn for_reserved(self) -> Self {
        let shorten = |timeout: Duration| timeout.min(RESERVED_TIMEOUT);
        Self {
            header_timeout: shorten(self.header_timeout),
            idle_timeout: shorten(self.idle_timeout),
            write_timeout: shorten(self.write_timeout),
            ..self
        }
    }

    /// Returns `true` if a path is one of [`Self::health_paths`] or below one.
    pub(crate) fn is_health_path(&self, path: &str) -> bool {
        self.health_paths.iter().any(|health| {
            path.strip_prefix(health)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// Maximum of each timeout of a reserved connection.
const RESERVED_TIMEOUT: Duration = Duration::from_secs(2);

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
