//! A node in this process, with real pods.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub(crate) use linux::{Embedded, INSIDE, place};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{Embedded, INSIDE, place};

/// Where this process goes on.
pub(crate) enum Place {
    /// Here, with a folder for a node's files if it is inside the node's namespaces.
    Here(Option<std::path::PathBuf>),
    /// Nowhere: another process has done everything.
    Ended(std::process::ExitCode),
}
