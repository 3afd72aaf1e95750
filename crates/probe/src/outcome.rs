//! Results of one attempt. "Unhealthy" ([`Outcome`]) and "could not probe" ([`ProbeError`]) are different types.

use std::time::Duration;

/// Result of a completed attempt, the kubelet's `probe.Result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The target is healthy.
    Success,
    /// Counted as a success, and reported in an event: a redirect that was not followed.
    Warning,
    /// The target is unhealthy.
    Failure,
    /// The state of the target is unknown. Counted as a failure unless the attempt is a [`ProbeError`].
    Unknown,
}

/// Machine-readable reason of a failure, in addition to the kubelet's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The host name does not resolve.
    Dns,
    /// The connection was refused.
    Refused,
    /// No connection within the timeout.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// Connected, but no response within the timeout.
    ResponseTimeout,
    /// The response has this HTTP status, which is neither 2xx nor 3xx.
    Status(u16),
    /// The command exited with this code.
    ExitCode(i32),
    /// The command was terminated by this signal.
    Signal(i32),
    /// The command exceeded its timeout and was killed.
    ExecTimeout,
    /// The peer closed the connection or violated its protocol.
    Protocol,
    /// The gRPC health service returned a status other than `SERVING`.
    NotServing,
    /// The body does not match a host's extended check.
    Body,
    /// The headers do not match a host's extended check.
    Header,
    /// Any other error of the connection or request.
    Other,
}

impl Reason {
    /// Returns the reason's name in JSON and in metric labels, without the number of a status, exit code or signal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::ResponseTimeout => "response_timeout",
            Self::Status(_) => "status",
            Self::ExitCode(_) => "exit_code",
            Self::Signal(_) => "signal",
            Self::ExecTimeout => "exec_timeout",
            Self::Protocol => "protocol",
            Self::NotServing => "not_serving",
            Self::Body => "body",
            Self::Header => "header",
            Self::Other => "other",
        }
    }
}

/// A completed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Result.
    pub verdict: Verdict,
    /// Reason of a failure.
    pub reason: Option<Reason>,
    /// The kubelet's output: the response body or command output of a success, the error text of a failure. Contains at most
    /// [`MAX_OUTPUT`] bytes received from the target.
    pub output: String,
    /// Duration of the attempt, in tokio's time.
    pub took: Duration,
}

/// Maximum number of bytes read from a target.
pub const MAX_OUTPUT: usize = 10_240;

/// An attempt that could not be made or completed. The state of the target is unknown, so nothing is counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// The kubelet's error text.
    pub message: String,
    /// State in the kubelet's event: `Failure` if the target had started to respond, else `Unknown`.
    pub verdict: Verdict,
}

impl ProbeError {
    /// Creates an error for an attempt that could not be made.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            verdict: Verdict::Unknown,
        }
    }

    /// Creates an error for a response that was interrupted.
    #[must_use]
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            verdict: Verdict::Failure,
        }
    }
}
