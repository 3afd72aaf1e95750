//! Where the configuration comes from.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::{self, ConfigError, Surroundings};
use crate::spec::Config;

/// A file, and perhaps one annotation in it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// The annotation in a file of the downward API; none where the file is the configuration.
    pub annotation: Option<String>,
    /// What the configuration does not say.
    pub surroundings: Surroundings,
}

/// There is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be read.
    #[error("{}: {error}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is larger than any configuration.
    #[error("{}: more than the {} bytes that are read", .0.display(), config::MAX_BYTES)]
    TooLong(PathBuf),
    /// Nobody set the annotation.
    #[error("{}: there is no annotation {key:?} in it; a line reads KEY=\"VALUE\"", .file.display())]
    NoAnnotation {
        /// The file.
        file: PathBuf,
        /// The annotation's name.
        key: String,
    },
    /// It says nothing that can be run.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Source {
    /// The text as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
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

    /// What the text says.
    ///
    /// # Errors
    /// With everything that is wrong with it.
    pub fn parse(&self, text: &[u8]) -> Result<Config, SourceError> {
        let file = self.file.display();
        let name = match &self.annotation {
            None => file.to_string(),
            Some(key) => format!("{file}, annotation {key}"),
        };
        Ok(config::parse(&name, text, &self.surroundings)?)
    }
}

/// None if there is too much of it.
fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let most = config::MAX_BYTES as u64;
    let mut text = Vec::new();
    std::fs::File::open(file)?
        .take(most + 1)
        .read_to_end(&mut text)?;
    Ok((text.len() as u64 <= most).then_some(text))
}

/// The value of a line `KEY="VALUE"`, quoted as Go does.
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
                plain.push(simple(*escape)?);
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

fn simple(escape: u8) -> Option<u8> {
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
    fn an_annotation_is_found_by_its_whole_key_and_unquoted() {
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
    fn a_value_that_go_would_not_have_written_is_none() {
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
