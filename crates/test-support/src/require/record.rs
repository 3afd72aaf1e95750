//! Records of skipped tests: a line per skip of test program, test, requirement and reason, separated by tabs.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::Path;

/// Appends a record to the file that `SELFHEAL_TEST_SKIPS` names, and prints it.
///
/// The line is written straight to standard error: libtest captures only what the print macros write.
#[track_caller]
pub(super) fn append(requirement: &str, reason: &str) {
    let (program, test) = (test_program(), test_name(Location::caller()));
    let _ = io::stderr().write_all(format!("SKIPPED {program} {test}: {reason}\n").as_bytes());
    let Some(file) = env::var_os("SELFHEAL_TEST_SKIPS") else {
        return;
    };
    // One write with O_APPEND: test programs run side by side.
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&file)
        .and_then(|mut file| {
            file.write_all(line(&[&program, &test, requirement, reason]).as_bytes())
        });
    if let Err(error) = written {
        panic!(
            "cannot record a skipped test in {}: {error}",
            file.display()
        );
    }
}

fn line(fields: &[&str]) -> String {
    let plain: Vec<_> = fields
        .iter()
        .map(|field| field.replace(char::is_control, " "))
        .collect();
    plain.join("\t") + "\n"
}

/// Package and name of the test program, as nextest writes them.
fn test_program() -> String {
    if let Ok(id) = env::var("NEXTEST_BINARY_ID") {
        return id;
    }
    let program = env::current_exe().unwrap_or_default();
    let stem = program.file_stem().unwrap_or_default().to_string_lossy();
    // Cargo appends a hash.
    let name = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    match env::var("CARGO_PKG_NAME") {
        Ok(package) if package.replace('-', "_") != name => format!("{package}::{name}"),
        Ok(package) => package,
        Err(_) => name.to_owned(),
    }
}

/// libtest names a test's thread after the test, but runs it on the main thread if it runs one at a time.
fn test_name(caller: &Location<'_>) -> String {
    let thread = std::thread::current();
    match (thread.name(), env::var("NEXTEST_TEST_NAME")) {
        (_, Ok(name)) => name,
        (Some(name), Err(_)) if name != "main" && !name.starts_with("tokio") => name.to_owned(),
        _ => {
            let file = Path::new(caller.file());
            format!("{}:{}", file.display(), caller.line())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_one_line_of_fields() {
        assert_eq!(line(&["a::b", "c", "x\ty\nz"]), "a::b\tc\tx y z\n");
    }

    #[test]
    fn test_is_named_after_itself() {
        let name = test_name(Location::caller());
        assert_eq!(name, "require::record::tests::test_is_named_after_itself");
    }
}
