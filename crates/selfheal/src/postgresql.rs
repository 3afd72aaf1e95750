//! PostgreSQL for exercises with a database: the host's, else one unpacked from the distribution's packages.

use std::io;

use todo_db::installation::{self, Installation};

/// Reason why there is no PostgreSQL, and the command that installs it.
#[derive(Debug, thiserror::Error)]
#[error("no PostgreSQL: {reason}; to install it: {command}")]
pub(crate) struct PostgresqlMissing {
    /// Error of the last attempt to provide it.
    pub(crate) reason: postgresql_packages::Error,
    /// Command of this distribution, or those of several.
    pub(crate) command: &'static str,
}

/// Returns the PostgreSQL that containers use; unpacks the distribution's packages into the user's cache if there is none,
/// with progress on standard error.
///
/// Blocks, and needs the network in that case: to be called before the process enters the node's namespaces.
pub(crate) fn provide_postgresql() -> Result<Installation, PostgresqlMissing> {
    postgresql_packages::provide(&mut io::stderr()).map_err(|reason| PostgresqlMissing {
        reason,
        command: installation::install_command(),
    })
}
