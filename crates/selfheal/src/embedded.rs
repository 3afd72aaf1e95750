//! A node in this process, with real pods.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Embedded, NODE_ROLE, enter_namespaces, image_problem, test_namespaces};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Embedded, NODE_ROLE, enter_namespaces, image_problem, test_namespaces};

/// Result of entering the node's namespaces.
pub(crate) enum Entered {
    /// This process runs the command, with a directory for the node's files if it is inside the namespaces.
    Continue(Option<std::path::PathBuf>),
    /// Another process ran the command and exited with this code.
    Exited(std::process::ExitCode),
}

/// Reason why containers of an image cannot start.
pub(crate) enum ImageProblem {
    /// The image needs PostgreSQL, which is not installed.
    NeedsPostgresql,
    /// Any other reason.
    Other(String),
}
