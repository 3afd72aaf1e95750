//! How often this has started, told by a file that may outlive it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Adds this start to the file and says how many it holds.
///
/// # Errors
/// When the file can be neither read nor written.
pub(crate) fn count(file: &Path) -> anyhow::Result<usize> {
    add(file).with_context(|| format!("STARTS_FILE {}", file.display()))
}

fn add(file: &Path) -> io::Result<usize> {
    let mut lines = OpenOptions::new().append(true).create(true).open(file)?;
    writeln!(lines, "started")?;
    Ok(BufReader::new(File::open(file)?).lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_finds_those_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("starts");
        let counts: Vec<usize> = (0..3).map(|_| count(&file).unwrap()).collect();
        assert_eq!(counts, [1, 2, 3]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let error = count(Path::new("/no/such/folder/starts")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("STARTS_FILE /no/such/folder/starts"),
            "{error}"
        );
    }
}
