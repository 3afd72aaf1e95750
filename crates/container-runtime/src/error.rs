//! Errors of the runtime interface.

/// A command ended without an exit code.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The command exceeded its timeout and was killed.
    #[error("command {command:?} timed out")]
    Timeout {
        /// The command, joined by spaces.
        command: String,
    },
    /// The command did not start.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// An operation of the runtime failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The sandbox or container does not exist, or no longer.
    #[error("{0} is not known to the runtime")]
    NotFound(String),
    /// The program cannot be started: missing, not executable …
    #[error("failed to start container: {0}")]
    Start(String),
    /// An attached client did not read the output.
    #[error("detached: the client did not read the container's output; the log has all of it")]
    AttachStalled,
    /// A system call failed.
    #[error("{doing}: {source}")]
    System {
        /// The operation, as a present participle: `mounting …`.
        doing: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// An image that cannot be run on this node.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The reference does not parse.
    #[error("couldn't parse image name {0:?}: invalid reference format")]
    InvalidName(String),
    /// The reference is valid, but no program is mapped to it.
    #[error(
        "image {image:?}: this node pulls no images from registries; available: {available}; \
         restart the node with --image {name}=PROGRAM to run a program of this host for it"
    )]
    Unknown {
        /// The reference.
        image: String,
        /// The reference without tag and digest.
        name: String,
        /// Names of the images that the node can run, joined by commas.
        available: String,
    },
    /// The program that is run for the image needs software that this host does not have.
    #[error("image {image:?} runs this host's {what}, and {what} is not installed: {how}")]
    NotInstalled {
        /// The reference.
        image: String,
        /// Name of the missing software.
        what: &'static str,
        /// Instructions to install it.
        how: &'static str,
    },
}
