//! Connection service files, which define settings by service name.
//!
//! Source of the rules: the PostgreSQL manual, "The Connection Service File".

use std::path::{Path, PathBuf};

use crate::conninfo::{Settings, known_keyword};

/// Directory of the system-wide service file in Debian's libpq.
const DEFAULT_SYSCONF_DIR: &str = "/etc/postgresql-common";

/// A service that is not defined or invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// No service file defines the service.
    #[error("definition of service {0:?} not found")]
    NotFound(String),
    /// Syntax error in the service file.
    #[error("syntax error in service file {}, line {line}", .path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line number, starting at 1.
        line: usize,
    },
    /// The service refers to another service.
    #[error("nested service specifications not supported in service file {}, line {line}", .path.display())]
    Nested {
        /// Path of the file.
        path: PathBuf,
        /// Line number, starting at 1.
        line: usize,
    },
}

/// Returns the settings of `service`, from the user's file, or from the system-wide file if the former does not define
/// it.
pub(crate) fn load(
    service: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Settings, ServiceError> {
    let user_file = environment("PGSERVICEFILE").map(PathBuf::from);
    let user_file =
        user_file.or_else(|| Some(Path::new(&environment("HOME")?).join(".pg_service.conf")));
    let sysconf_dir = environment("PGSYSCONFDIR").unwrap_or_else(|| DEFAULT_SYSCONF_DIR.to_owned());
    let system_file = Path::new(&sysconf_dir).join("pg_service.conf");
    for path in user_file.into_iter().chain([system_file]) {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if let Some(settings) = find(&text, service, &path)? {
            return Ok(settings);
        }
    }
    Err(ServiceError::NotFound(service.to_owned()))
}

/// Returns the settings of the first section with this name. The lines after it are not parsed, as in libpq.
fn find(text: &str, service: &str, path: &Path) -> Result<Option<Settings>, ServiceError> {
    let mut found: Option<Settings> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            // libpq compares a prefix: text after the bracket is ignored.
            if section
                .strip_prefix(service)
                .is_some_and(|rest| rest.starts_with(']'))
            {
                found = Some(Settings::new());
            }
            continue;
        }
        let Some(settings) = &mut found else {
            continue;
        };
        let position = || (path.to_owned(), index + 1);
        let syntax = || {
            let (path, line) = position();
            ServiceError::Syntax { path, line }
        };
        let (name, value) = line.split_once('=').ok_or_else(syntax)?;
        if name == "service" {
            let (path, line) = position();
            return Err(ServiceError::Nested { path, line });
        }
        let keyword = known_keyword(name).ok_or_else(syntax)?;
        settings.entry(keyword).or_insert_with(|| value.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
