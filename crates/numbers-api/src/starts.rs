//! Number of starts, counted in a file that can outlive the container.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

use anyhow::Context as _;

/// Appends a line to the file and returns its number of lines.
///
/// # Errors
/// The file cannot be read or written.
pub(crate) fn count(file: &Path) -> anyhow::Result<usize> {
    append_and_count(file).with_context(|| format!("STARTS_FILE {}", file.display()))
}

fn append_and_count(file: &Path) -> io::Result<usize> {
    let mut lines = OpenOptions::new().append(true).create(true).open(file)?;
    writeln!(lines, "started")?;
    Ok(BufReader::new(File::open(file)?).lines().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_includes_earlier_starts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("starts");
        let counts: Vec<usize> = (0..3).map(|_| count(&file).unwrap()).collect();
        assert_eq!(counts, [1, 2, 3]);
    }

    #[test]
    fn error_names_a_file_that_cannot_be_written() {
        let error = count(Path::new("/no/such/dir/starts")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("STARTS_FILE /no/such/dir/starts"),
            "{error}"
        );
    }
}
