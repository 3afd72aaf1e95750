//! Passwords: a single one, or libpq's password file.
//!
//! Source of the rules: the PostgreSQL manual, "The Password File".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Passwords of a request. `Debug` omits their values.
#[derive(Clone, Debug, Default)]
pub struct Passwords {
    single: Option<SecretString>,
    entries: Vec<PgpassEntry>,
    /// Password file that is ignored because other users have access to it.
    ignored_file: Option<PathBuf>,
}

/// A line of a password file.
#[derive(Clone, Debug)]
struct PgpassEntry {
    /// Host, port, database and role; `None` matches any.
    patterns: [Option<String>; 4],
    password: SecretString,
}

/// A password file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The file cannot be read.
    #[error("could not read password file {}: {error}", .path.display())]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Error of the operating system.
        error: std::io::Error,
    },
}

impl Passwords {
    /// Creates a password that is used for each server.
    #[must_use]
    pub fn from_password(password: String) -> Self {
        Self {
            single: Some(password.into()),
            ..Self::default()
        }
    }

    /// Reads the password from the first line of a file, such as a mounted Kubernetes secret.
    ///
    /// Permissions are not checked: a mounted secret is usually world-readable in its container.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn from_secret_file(path: &Path) -> Result<Self, PasswordError> {
        let text = read(path)?;
        Ok(Self::from_password(
            text.lines().next().unwrap_or_default().to_owned(),
        ))
    }

    /// Reads a file in libpq's `.pgpass` format; a missing file contains no passwords.
    ///
    /// # Errors
    /// If the file cannot be read. A file that other users have access to is ignored, as in libpq; the reason of a
    /// missing password names it.
    pub fn from_pgpass_file(path: &Path) -> Result<Self, PasswordError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => return Ok(Self::default()),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Ok(Self {
                    ignored_file: Some(path.to_owned()),
                    ..Self::default()
                });
            }
            Ok(_) => {}
            Err(_) => return Ok(Self::default()),
        }
        Ok(Self {
            entries: read(path)?.lines().filter_map(parse_entry).collect(),
            ..Self::default()
        })
    }

    /// Returns the warning about a password file that is ignored.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let file = self.ignored_file.as_ref()?.display();
        Some(format!(
            "password file {file} has group or world access and is ignored; permissions should be u=rw (0600) or less"
        ))
    }

    /// Returns the password for a role in a database of a server.
    pub(crate) fn find(&self, host: &str, port: u16, database: &str, user: &str) -> Option<&str> {
        let port = port.to_string();
        let found = self.entries.iter().find(|entry| {
            let key = [host, &port, database, user];
            let mut pairs = entry.patterns.iter().zip(key);
            pairs.all(|(pattern, value)| pattern.as_deref().is_none_or(|pattern| pattern == value))
        });
        let secret = self.single.as_ref().or(found.map(|entry| &entry.password));
        secret.map(|secret| secret.expose_secret())
    }
}

fn read(path: &Path) -> Result<String, PasswordError> {
    fs::read_to_string(path).map_err(|error| PasswordError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// Parses `host:port:database:role:password`; a backslash escapes a colon or a backslash.
fn parse_entry(line: &str) -> Option<PgpassEntry> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        // The fifth field extends to the end of the line.
        if char == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let unescaped = if char == '\\' {
            chars.next()
        } else {
            Some(char)
        };
        fields.last_mut()?.extend(unescaped);
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let pattern = |text: String| (text != "*").then_some(text);
    Some(PgpassEntry {
        patterns: [host, port, database, user].map(pattern),
        password: password.into(),
    })
}

#[cfg(test)]
mod tests;
