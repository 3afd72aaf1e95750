//! A node in this process, with real pods.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Embedded, INSIDE, image_problem, place, test_namespaces};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Embedded, INSIDE, image_problem, place, test_namespaces};

/// Process that runs the command.
pub(crate) enum Place {
    /// This one, with a directory for the node's files if it is inside the node's namespaces.
    Here(Option<std::path::PathBuf>),
    /// Another one, which has exited with this code.
    Ended(std::process::ExitCode),
}

/// Why containers of an image cannot start.
pub(crate) enum ImageProblem {
    /// The image stands for PostgreSQL, which is not installed.
    NeedsPostgresql,
    /// Any other reason.
    Other(String),
}
