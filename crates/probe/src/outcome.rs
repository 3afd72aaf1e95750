//! What one attempt of a probe found: unhealthy and "could not probe" are different types.

use std::time::Duration;

/// What a finished attempt says of its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The target is well.
    Success,
    /// Well for thresholds, but worth a word: a redirect that was not followed.
    Warning,
    /// The target is not well.
    Failure,
    /// The attempt says nothing; counted as a failure when it comes without an error.
    Unknown,
}

/// Why an attempt failed, in few words for machines; the kubelet's own text stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The host name does not resolve.
    Dns,
    /// Nobody listens at the port.
    Refused,
    /// No connection within the timeout.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// Connected, but no answer within the timeout.
    ResponseTimeout,
    /// An answer with an unhealthy status.
    Status(u16),
    /// The command ended with this code.
    ExitCode(i32),
    /// A signal ended the command.
    Signal(i32),
    /// The command ran past its deadline and was killed.
    ExecTimeout,
    /// The peer closed the connection or broke its protocol.
    Protocol,
    /// The health service answered, and not with SERVING.
    NotServing,
    /// The answer has not the body that was asked for.
    Body,
    /// The answer has not the headers that were asked for.
    Header,
    /// Any other failure to connect or to talk.
    Other,
}

impl Reason {
    /// Its word in answers and metrics; the number of a status, code or signal stands beside it.
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

/// One finished attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it says.
    pub verdict: Verdict,
    /// Why it failed; none for success.
    pub reason: Option<Reason>,
    /// The kubelet's text: the body of a success, the explanation of a failure. At most [`MAX_OUTPUT`] bytes of the target's.
    pub output: String,
    /// How long the attempt took.
    pub took: Duration,
}

/// The most that is kept of what a target says.
pub const MAX_OUTPUT: usize = 10_240;

/// The attempt could not be made or not be finished: nothing is known of the target, and no counter moves.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// The kubelet's text.
    pub message: String,
    /// What the kubelet's event calls it: `Failure` where the target had begun to answer, else `Unknown`.
    pub verdict: Verdict,
}

impl ProbeError {
    /// An attempt that could not be made.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            verdict: Verdict::Unknown,
        }
    }

    /// An attempt that broke off while the target answered.
    #[must_use]
    pub fn broken_off(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            verdict: Verdict::Failure,
        }
    }
}
