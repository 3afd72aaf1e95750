//! The licence texts in a package's sources.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Directories of a package that are not linked into programs.
const SKIPPED_DIRS: [&str; 7] = [
    "benches", "doc", "docs", "examples", "fuzz", "target", "tests",
];
/// Vendored sources are found at this depth: `libmimalloc-sys/c_src/mimalloc/v2`.
const MAX_DEPTH: usize = 4;
const FILE_NAMES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"];

/// A sentence that is in every text of a licence, white space collapsed.
const MARKERS: [(&str, &str); 9] = [
    ("Apache-2.0", "Apache License Version 2.0"),
    (
        "BSD-2-Clause",
        "Redistribution and use in source and binary forms",
    ),
    (
        "BSD-3-Clause",
        "Redistribution and use in source and binary forms",
    ),
    ("CDLA-Permissive-2.0", "Community Data License Agreement"),
    ("ISC", "Permission to use, copy, modify, and"),
    ("MIT", "Permission is hereby granted, free of charge"),
    ("MPL-2.0", "Mozilla Public License"),
    ("Unicode-3.0", "UNICODE LICENSE V3"),
    ("Zlib", "This software is provided 'as-is'"),
];

/// A licence text or notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    /// `true` if the file is a NOTICE (Apache-2.0, section 4d).
    pub(crate) is_notice: bool,
    /// `true` if the file is below the package's top directory, as with vendored sources.
    pub(crate) is_nested: bool,
    pub(crate) content: String,
}

impl Text {
    /// Returns `true` if the text is one of a licence (SPDX identifier).
    pub(crate) fn is_license(&self, license: &str) -> bool {
        let collapsed = collapse(&self.content).to_lowercase();
        let marker = MARKERS.iter().find(|(name, _)| *name == license);
        marker.is_some_and(|(_, marker)| collapsed.contains(&marker.to_lowercase()))
    }
}

/// Beginnings of licence texts that follow a copyright notice, in lower case.
const GRANTS: [&str; 3] = [
    "permission is hereby granted",
    "permission to use, copy, modify",
    "redistribution and use in source",
];

/// Splits a text before the line that begins the licence itself; the first part contains the copyright notice. A text without
/// such a line is one part.
pub(crate) fn split_copyright(text: &str) -> (&str, &str) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let words = collapse(line).to_lowercase();
        if GRANTS.iter().any(|grant| words.starts_with(grant)) {
            return text.split_at(start);
        }
        start += line.len();
    }
    ("", text)
}

/// Collapses white space, so that texts that differ only in line breaks compare equal.
pub(crate) fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the licence texts of a package, in the order of their paths.
pub(crate) fn find(directory: &Path) -> Result<Vec<Text>> {
    let mut found = Vec::new();
    walk(directory, 0, &mut found)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    Ok(found)
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<Text>) -> std::io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            if depth < MAX_DEPTH && !SKIPPED_DIRS.contains(&name.as_str()) {
                walk(&entry.path(), depth + 1, found)?;
            }
        } else if is_license_file(&name) {
            let content = String::from_utf8_lossy(&fs::read(entry.path())?).replace('\r', "");
            let lines: Vec<&str> = content.lines().map(str::trim_end).collect();
            found.push(Text {
                is_notice: name.to_uppercase().starts_with("NOTICE"),
                is_nested: depth > 0,
                content: lines.join("\n").trim_matches('\n').to_owned(),
            });
        }
    }
    Ok(())
}

/// Returns `true` for `LICENSE-MIT` and `COPYING.txt`, `false` for `license.rs`.
fn is_license_file(name: &str) -> bool {
    let upper = name.to_uppercase();
    let is_text = match upper.rsplit_once('.') {
        Some((_, extension)) => {
            ["MD", "TXT", "MIT", "APACHE", "APACHE2"].contains(&extension) || extension.len() > 4
        }
        None => true,
    };
    is_text && FILE_NAMES.iter().any(|it| upper.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licence_files_are_distinguished_from_sources_by_name() {
        for (name, expected) in [
            ("LICENSE", true),
            ("LICENSE-MIT", true),
            ("LICENSE.md", true),
            ("license.html", false),
            ("license-mit.txt", true),
            ("license.rs", false),
            ("NOTICE", true),
            ("README.md", false),
        ] {
            assert_eq!(is_license_file(name), expected, "{name}");
        }
    }

    #[test]
    fn texts_of_vendored_sources_are_found_and_those_of_tests_are_not() {
        let package = tempfile::tempdir().unwrap();
        for (path, content) in [
            (
                "LICENSE",
                "Permission is hereby granted,\r\n  free of charge  \r\n",
            ),
            (
                "c/vendored/COPYING",
                "Redistribution and use in source and binary forms",
            ),
            ("tests/LICENSE", "Mozilla Public License"),
        ] {
            let file = package.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        let found = find(package.path()).unwrap();
        let seen: Vec<(bool, bool, bool)> = found
            .iter()
            .map(|it| {
                (
                    it.is_nested,
                    it.is_license("MIT"),
                    it.is_license("BSD-3-Clause"),
                )
            })
            .collect();
        assert_eq!(seen, [(false, true, false), (true, false, true)]);
        assert_eq!(
            found[0].content,
            "Permission is hereby granted,\n  free of charge"
        );
    }
}
