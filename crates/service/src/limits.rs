//! How much one client may ask of a service.

use std::time::Duration;

/// The bounds of [`Server`](crate::Server). The defaults suit services with small bodies.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Maximum number of connections. At the limit the one that waited longest for its client's next request is closed.
    pub connections: usize,
    /// Connections beyond it that may ask for [`Self::health_paths`] alone, for when every other one has a request.
    pub reserved_connections: usize,
    /// Paths that the reserved connections answer, with everything below them.
    pub health_paths: &'static [&'static str],
    /// Time for a request's line and headers: from the start of the connection, or from the first byte of a later request.
    pub header_timeout: Duration,
    /// Time for which a kept-alive connection may be idle.
    pub idle_timeout: Duration,
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
        reserved_connections: 64,
        health_paths: &["/livez", "/readyz", "/startupz", "/healthz"],
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(15),
        body_timeout: Duration::from_secs(10),
        write_timeout: Duration::from_secs(30),
        body_bytes: 64 * 1024,
        header_bytes: 16 * 1024,
    };

    /// Limits of a connection: a reserved one is for a short request and a short answer.
    pub(crate) fn of(self, is_reserved: bool) -> Self {
        let most = |timeout: Duration| match is_reserved {
            true => timeout.min(RESERVED_TIMEOUT),
            false => timeout,
        };
        Self {
            header_timeout: most(self.header_timeout),
            idle_timeout: most(self.idle_timeout),
            write_timeout: most(self.write_timeout),
            ..self
        }
    }

    /// Returns `true` if a path is one of, or below, [`Self::health_paths`].
    pub(crate) fn is_health(&self, path: &str) -> bool {
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
