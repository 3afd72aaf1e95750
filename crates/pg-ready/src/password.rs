//! The password: given, or looked up in libpq's password file.
//!
//! Source of the rules: the PostgreSQL manual, "The Password File".

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

/// Where passwords come from.
#[derive(Clone, Debug, Default)]
pub struct Passwords {
    given: Option<SecretString>,
    file: Vec<Entry>,
}

/// One line of a password file.
#[derive(Clone, Debug)]
struct Entry {
    /// Host, port, database, role; none for any.
    patterns: [Option<String>; 4],
    password: SecretString,
}

/// A password file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// It cannot be read.
    #[error("could not read password file {}: {error}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// Others could have read it too.
    #[error("password file {} has group or world access and is ignored; permissions should be u=rw (0600) or less", .0.display())]
    TooOpen(PathBuf),
}

impl Passwords {
    /// One password for every server.
    #[must_use]
    pub fn given(password: String) -> Self {
        Self {
            given: Some(password.into()),
            file: Vec::new(),
        }
    }

    /// The first line of a file that holds nothing but the password, such as a mounted secret.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_secret(path: &Path) -> Result<Self, PasswordError> {
        let text = read(path)?;
        Ok(Self::given(
            text.lines().next().unwrap_or_default().to_owned(),
        ))
    }

    /// A file in libpq's format; no file is no password.
    ///
    /// # Errors
    /// When others could read it as well, or it cannot be read.
    pub fn from_pgpass(path: &Path) -> Result<Self, PasswordError> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => return Ok(Self::default()),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return Err(PasswordError::TooOpen(path.to_owned()));
            }
            Ok(_) => {}
            Err(_) => return Ok(Self::default()),
        }
        Ok(Self {
            given: None,
            file: read(path)?.lines().filter_map(entry).collect(),
        })
    }

    /// The password for a role in a database of a server.
    #[must_use]
    pub(crate) fn find(&self, host: &str, port: u16, database: &str, user: &str) -> Option<&str> {
        let port = port.to_string();
        let found = self.file.iter().find(|entry| {
            let wanted = [host, &port, database, user];
            let mut pairs = entry.patterns.iter().zip(wanted);
            pairs.all(|(pattern, wanted)| pattern.as_deref().is_none_or(|text| text == wanted))
        });
        let secret = self.given.as_ref().or(found.map(|entry| &entry.password));
        secret.map(|secret| secret.expose_secret())
    }
}

fn read(path: &Path) -> Result<String, PasswordError> {
    fs::read_to_string(path).map_err(|error| PasswordError::Unreadable {
        path: path.to_owned(),
        error,
    })
}

/// `host:port:database:role:password`; a backslash takes away a colon's or a backslash's meaning.
fn entry(line: &str) -> Option<Entry> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        // The fifth field ends with the line.
        if char == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        let plain = if char == '\\' {
            chars.next()
        } else {
            Some(char)
        };
        fields.last_mut()?.extend(plain);
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let pattern = |text: String| (text != "*").then_some(text);
    Some(Entry {
        patterns: [host, port, database, user].map(pattern),
        password: password.into(),
    })
}

#[cfg(test)]
mod tests;
