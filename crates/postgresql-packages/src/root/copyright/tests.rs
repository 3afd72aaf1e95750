//! Owners of the image's files, and the copyright files that are copied for them.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A tree with one library, a link to it, and the copyright file of its package, which another's documentation links to.
fn tree() -> (TempDir, Owners) {
    let tree = tempfile::tempdir().unwrap();
    let libraries = tree.path().join(LIBRARIES);
    fs::create_dir_all(&libraries).unwrap();
    fs::write(libraries.join("liba.so.1.2"), "").unwrap();
    symlink("liba.so.1.2", libraries.join("liba.so.1")).unwrap();
    let doc = tree.path().join("usr/share/doc");
    fs::create_dir_all(doc.join("gcc-12-base")).unwrap();
    fs::write(doc.join("gcc-12-base/copyright"), "GPL-3").unwrap();
    symlink("gcc-12-base", doc.join("liba1")).unwrap();
    fs::create_dir(doc.join("libempty1")).unwrap();
    let path = format!("{LIBRARIES}/liba.so.1.2");
    (tree, Owners::from([(path.into(), "liba1".to_owned())]))
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn link_to_a_library_has_the_owner_of_the_library() {
    let (tree, owners) = tree();
    let paths = ["liba.so.1", "liba.so.1.2"].map(|name| tree.path().join(LIBRARIES).join(name));
    let found = owners_of(&paths.into(), tree.path(), &owners).unwrap();
    assert_eq!(found, names(&["liba1"]));
}

#[test]
fn tree_behind_a_link_has_the_same_owners() {
    let (tree, owners) = tree();
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("tree");
    symlink(tree.path(), &link).unwrap();
    let paths = BTreeSet::from([link.join(LIBRARIES).join("liba.so.1")]);
    let found = owners_of(&paths, &link, &owners).unwrap();
    assert_eq!(found, names(&["liba1"]));
}

#[test]
fn library_of_no_package_is_an_error_that_names_it() {
    let (tree, owners) = tree();
    let path = tree.path().join(LIBRARIES).join("libb.so.1");
    fs::write(&path, "").unwrap();
    let error = owners_of(&BTreeSet::from([path]), tree.path(), &owners).unwrap_err();
    let message = format!("{LIBRARIES}/libb.so.1 is in none of the packages of PostgreSQL");
    assert_eq!(error.to_string(), message);
}

#[test]
fn copyright_file_behind_a_link_is_copied_as_a_file() {
    let ((tree, _), root) = (tree(), tempfile::tempdir().unwrap());
    copy_files(&names(&["liba1"]), tree.path(), root.path()).unwrap();
    let copied = root.path().join("usr/share/doc/liba1/copyright");
    assert_eq!(fs::read_to_string(copied).unwrap(), "GPL-3");
    assert!(!root.path().join("usr/share/doc/liba1").is_symlink());
    assert!(!root.path().join("usr/share/doc/gcc-12-base").exists());
}

#[test]
fn package_without_a_copyright_file_is_an_error_that_names_it() {
    let ((tree, _), root) = (tree(), tempfile::tempdir().unwrap());
    for name in ["libempty1", "libmissing1"] {
        let error = copy_files(&names(&["liba1", name]), tree.path(), root.path()).unwrap_err();
        let is_named = matches!(&error, Error::NoCopyright { package } if package == name);
        assert!(is_named, "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
}
