//! Connection service files: settings by the name of a service.
//!
//! Source of the rules: the PostgreSQL manual, "The Connection Service File".

use std::path::{Path, PathBuf};

use crate::conninfo::{Settings, known_keyword};

/// Where Debian's libpq looks for the file of the whole system.
const SYSTEM_FOLDER: &str = "/etc/postgresql-common";

/// A service that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No file has it.
    #[error("definition of service {0:?} not found")]
    NotFound(String),
    /// A file has a line that is none.
    #[error("syntax error in service file {}, line {line}", .path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Which line, from one.
        line: usize,
    },
    /// A service names another.
    #[error("nested service specifications not supported in service file {}, line {line}", .path.display())]
    Nested {
        /// Which file.
        path: PathBuf,
        /// Which line, from one.
        line: usize,
    },
}

/// The settings of `service`, from the user's file or else from the system's.
pub fn load(
    service: &str,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Settings, ServiceError> {
    let own = environment("PGSERVICEFILE").map(PathBuf::from);
    let own = own.or_else(|| Some(Path::new(&environment("HOME")?).join(".pg_service.conf")));
    let folder = environment("PGSYSCONFDIR").unwrap_or_else(|| SYSTEM_FOLDER.to_owned());
    let system = Path::new(&folder).join("pg_service.conf");
    for path in own.into_iter().chain([system]) {
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if let Some(settings) = find(&text, service, &path)? {
            return Ok(settings);
        }
    }
    Err(ServiceError::NotFound(service.to_owned()))
}

/// The settings of the first section of that name. The rest of a file is not looked at, as in libpq.
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
            // libpq compares a beginning: what follows the bracket does not matter.
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
        let place = || (path.to_owned(), index + 1);
        let syntax = || {
            let (path, line) = place();
            ServiceError::Syntax { path, line }
        };
        let (name, value) = line.split_once('=').ok_or_else(syntax)?;
        if name == "service" {
            let (path, line) = place();
            return Err(ServiceError::Nested { path, line });
        }
        let keyword = known_keyword(name).ok_or_else(syntax)?;
        settings.entry(keyword).or_insert_with(|| value.to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
