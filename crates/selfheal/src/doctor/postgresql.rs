//! PostgreSQL on this host, which the embedded node runs for the image `postgres`.

use std::cell::OnceCell;

use todo_db::installation::{self, HOW_TO_INSTALL};

/// Returns the directory of the server's programs, without installing any.
///
/// # Errors
/// The commands that install it.
pub(crate) fn find_bin_dir() -> Result<String, String> {
    match installation::find(None) {
        Some(installation) => Ok(installation.bin.display().to_string()),
        None => Err(format!(
            "PostgreSQL is not installed; an exercise that needs it, or `selfheal postgresql`, unpacks the distribution's packages; \
             to install it for the host: {HOW_TO_INSTALL}"
        )),
    }
}

/// Provides PostgreSQL once for all exercises of a run: the installed one, else one unpacked from the distribution's packages.
#[derive(Debug, Default)]
pub(crate) struct Provision(OnceCell<Result<(), String>>);

impl Provision {
    /// # Errors
    /// Reason why there is no PostgreSQL, and the command that installs it.
    pub(crate) fn ensure(&self) -> Result<(), String> {
        self.0.get_or_init(provide).clone()
    }
}

#[cfg(target_os = "linux")]
fn provide() -> Result<(), String> {
    crate::postgresql::provide_postgresql()
        .map(drop)
        .map_err(|missing| missing.to_string())
}

#[cfg(not(target_os = "linux"))]
fn provide() -> Result<(), String> {
    find_bin_dir().map(drop)
}
