//! PostgreSQL on this host, which stands for the image `postgres` on the embedded node.

use todo_db::installation::{self, HOW_TO_INSTALL};

/// Returns the directory of an installed server's programs, or how to install it.
pub(crate) fn postgresql_requirement() -> Result<String, String> {
    match installation::find(None) {
        Some(installation) => Ok(installation.bin.display().to_string()),
        None => Err(format!("PostgreSQL is not installed; {HOW_TO_INSTALL}")),
    }
}
