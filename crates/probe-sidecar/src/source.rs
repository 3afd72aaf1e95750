//! Source of the configuration.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{self, ConfigError, ParseOptions};
use crate::spec::Config;

/// A file, or one annotation in a file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Path of the file.
    pub file: PathBuf,
    /// Annotation in a file of the downward API. `None` if the file is the configuration.
    pub annotation: Option<String>,
    /// Defaults that the configuration does not contain.
    pub options: ParseOptions,
}

/// The configuration cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("{}: {error}", .file.display())]
    Read {
        /// Path of the file.
        file: PathBuf,
        /// Cause.
        error: io::Error,
    },
    /// The file exceeds the maximum size.
    #[error("{}: the file is larger than the maximum of {} bytes", .0.display(), config::MAX_BYTES)]
    TooLong(PathBuf),
    /// The annotation is not set.
    #[error("{}: annotation {key:?} not found; expected a line KEY=\"VALUE\"", .file.display())]
    NoAnnotation {
        /// Path of the file.
        file: PathBuf,
        /// Key of the annotation.
        key: String,
    },
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Source {
    /// Reads the current text.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is too large, or lacks the annotation.
    pub fn text(&self) -> Result<Vec<u8>, SourceError> {
        let text = read(&self.file).map_err(|error| SourceError::Read {
            file: self.file.clone(),
            error,
        })?;
        let text = text.ok_or_else(|| SourceError::TooLong(self.file.clone()))?;
        match &self.annotation {
            None => Ok(text),
            Some(key) => annotation(&text, key).ok_or_else(|| SourceError::NoAnnotation {
                file: self.file.clone(),
                key: key.clone(),
            }),
        }
    }

    /// Parses the text.
    ///
    /// # Errors
    /// Returns all problems of the text.
    pub fn parse(&self, text: &[u8]) -> Result<Config, SourceError> {
        let file = self.file.display();
        let name = match &self.annotation {
            None => file.to_string(),
            Some(key) => format!("{file}, annotation {key}"),
        };
        Ok(config::parse(&name, text, &self.options)?)
    }
}

/// Reads a file. Returns `None` if it exceeds [`config::MAX_BYTES`].
fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let max = config::MAX_BYTES as u64;
    let mut text = Vec::new();
    std::fs::File::open(file)?
        .take(max + 1)
        .read_to_end(&mut text)?;
    Ok((text.len() as u64 <= max).then_some(text))
}

/// Returns the value of a line `KEY="VALUE"`, which is quoted as by Go's `strconv.Quote`.
fn annotation(text: &[u8], key: &str) -> Option<Vec<u8>> {
    let lines = text.split(|byte| *byte == b'\n');
    let value = lines
        .filter_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"=\""))
        .next()?;
    unquote(value.trim_ascii_end().strip_suffix(b"\"")?)
}

fn unquote(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        let (escape, after) = rest.split_first()?;
        rest = after;
        let digits = match escape {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => {
                plain.push(unescape(*escape)?);
                continue;
            }
        };
        let (number, after) = rest.split_at_checked(digits)?;
        rest = after;
        let number = u32::from_str_radix(std::str::from_utf8(number).ok()?, 16).ok()?;
        if digits == 2 {
            plain.push(u8::try_from(number).ok()?);
        } else {
            let letter = char::from_u32(number)?;
            plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Some(plain)
}

fn unescape(escape: u8) -> Option<u8> {
    Some(match escape {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'v' => 0x0b,
        b'"' | b'\\' => escape,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_is_found_by_its_complete_key_and_unquoted() {
        let file = b"a/probes-old=\"no\"\na/probes=\"targets:\\n- name: \\\"x\\\" # \\u00fc\\x41\\\\\"\nb=\"c\"";
        let found = annotation(file, "a/probes").unwrap();
        assert_eq!(
            String::from_utf8(found).unwrap(),
            "targets:\n- name: \"x\" # \u{fc}A\\"
        );
        assert_eq!(annotation(file, "a/prob"), None);
        assert_eq!(annotation(file, "c"), None);
    }

    #[test]
    fn annotation_with_invalid_quoting_is_none() {
        for file in [
            "k=\"",
            "k=\"\\",
            "k=\"\\q\"",
            "k=\"\\x4\"",
            "k=\"\\ud800\"",
            "k=v",
        ] {
            assert_eq!(annotation(file.as_bytes(), "k"), None, "{file}");
        }
    }
}
