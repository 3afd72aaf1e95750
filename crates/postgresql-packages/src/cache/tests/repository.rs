//! A repository of small packages in a directory, which apt reads like that of a distribution.

use std::os::unix::fs::symlink;
use std::process::Command;

use super::*;
use crate::command::stdout;

/// Files of the server's package; the programs are scripts.
const SERVER: [&str; 7] = [
    "usr/lib/postgresql/15/bin/postgres",
    "usr/lib/postgresql/15/bin/initdb",
    "usr/lib/postgresql/15/bin/pg_ctl",
    "usr/lib/postgresql/15/lib/plpgsql.so",
    "usr/lib/postgresql/15/lib/llvmjit.so",
    "usr/share/doc/postgresql-15/changelog.Debian.gz",
    "usr/share/doc/postgresql-15/copyright",
];

struct Repository(TempDir);

impl Repository {
    fn new() -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.add("postgresql", "postgresql-15", &[]);
        repository.add(
            "postgresql-15",
            "libselfheal-test1, postgresql-client-15",
            &SERVER,
        );
        repository.add(
            "postgresql-client-15",
            "",
            &["usr/lib/postgresql/15/bin/psql"],
        );
        repository.add(
            "libselfheal-test1",
            "",
            &["usr/lib/x86_64-linux-gnu/libselfheal-test.so.1"],
        );
        repository
    }

    fn add(&self, name: &str, depends: &str, paths: &[&str]) {
        self.add_linked(name, depends, paths, None);
    }

    /// Adds a package whose documentation is a link to that of another.
    fn add_linked(&self, name: &str, depends: &str, paths: &[&str], linked_to: Option<&str>) {
        let content = self.0.path().join("content").join(name);
        for path in paths {
            let file = content.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "#!/bin/sh\nexit 0\n").unwrap();
            files::set_mode(&file, 0o755).unwrap();
        }
        let depends = if depends.is_empty() {
            String::new()
        } else {
            format!("Depends: {depends}\n")
        };
        if let Some(documented) = linked_to {
            let doc = content.join("usr/share/doc");
            fs::create_dir_all(&doc).unwrap();
            symlink(documented, doc.join(name)).unwrap();
        }
        let fields = format!(
            "Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: test\n{depends}"
        );
        let control = content.join("DEBIAN/control");
        fs::create_dir_all(control.parent().unwrap()).unwrap();
        files::set_mode(control.parent().unwrap(), 0o755).unwrap();
        fs::write(&control, &fields).unwrap();
        let archive = self.archive(name);
        let mut build = Command::new("dpkg-deb");
        stdout(
            build
                .args(["--build", "--root-owner-group"])
                .arg(&content)
                .arg(&archive),
        )
        .unwrap();
        let sum = stdout(Command::new("sha256sum").arg(&archive)).unwrap();
        let sum = sum.split_whitespace().next().unwrap();
        let size = archive.metadata().unwrap().len();
        let index = self.0.path().join("Packages");
        let known = fs::read_to_string(&index).unwrap_or_default();
        let entry = format!("{fields}Filename: ./{name}.deb\nSize: {size}\nSHA256: {sum}\n\n");
        fs::write(index, known + &entry).unwrap();
    }

    fn archive(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(format!("{name}.deb"))
    }

    /// Returns options that make it apt's only source, on a host without installed packages.
    fn options(&self) -> Vec<String> {
        let sources = self.0.path().join("sources.list");
        fs::write(
            &sources,
            format!("deb [trusted=yes] file:{} ./\n", self.0.path().display()),
        )
        .unwrap();
        options_for(&sources)
    }
}

fn options_for(sources: &Path) -> Vec<String> {
    vec![
        format!("--option=Dir::Etc::sourcelist={}", sources.display()),
        "--option=Dir::Etc::sourceparts=/dev/null".to_owned(),
        "--option=Dir::State::status=/dev/null".to_owned(),
    ]
}

/// Returns the names in the cache, without the lock file.
fn names_in(cache: &Path) -> Vec<String> {
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let names = files::entries(cache).unwrap().into_iter().map(name);
    names.filter(|name| name != ".lock").collect()
}

#[test]
fn server_and_its_missing_libraries_are_unpacked_into_the_cache() {
    if !test_support::require(test_support::Requirement::Apt) {
        return;
    }
    let (cache, repository) = (tempfile::tempdir().unwrap(), Repository::new());
    let found = provide_in(cache.path(), &repository.options(), &mut io::sink()).unwrap();
    let tree = installation::cached_tree(cache.path(), 15);
    assert_eq!((found.bin, found.major), (tree.join("bin"), Some(15)));
    assert_eq!(names_in(cache.path()), ["postgresql-15"]);
    assert!(
        tree.join("usr/lib/x86_64-linux-gnu/libselfheal-test.so.1")
            .is_file()
    );
    assert!(tree.join("usr/lib/postgresql/15/lib/plpgsql.so").is_file());
    assert!(tree.join("usr/share/doc/postgresql-15/copyright").is_file());
    for left_out in [
        "usr/lib/postgresql/15/lib/llvmjit.so",
        "usr/share/doc/postgresql-15/changelog.Debian.gz",
    ] {
        assert!(!tree.join(left_out).exists(), "{left_out}");
    }
    let script = fs::read_to_string(tree.join("bin/postgres")).unwrap();
    assert!(
        script.contains("$tree/usr/lib/x86_64-linux-gnu"),
        "{script}"
    );
}

#[test]
fn package_with_another_checksum_is_an_error_and_leaves_nothing() {
    if !test_support::require(test_support::Requirement::Apt) {
        return;
    }
    let (cache, repository) = (tempfile::tempdir().unwrap(), Repository::new());
    let archive = repository.archive("postgresql-15");
    let mut bytes = fs::read(&archive).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&archive, bytes).unwrap();
    let error = provide_in(cache.path(), &repository.options(), &mut io::sink()).unwrap_err();
    assert!(matches!(error, Error::Download { .. }), "{error}");
    assert!(
        error
            .to_string()
            .to_lowercase()
            .contains("hash sum mismatch"),
        "{error}"
    );
    assert!(names_in(cache.path()).is_empty());
}

#[test]
fn source_that_cannot_be_reached_is_the_reason_in_the_error() {
    if !test_support::require(test_support::Requirement::Apt) {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sources = cache.path().join("sources.list");
    fs::write(&sources, format!("deb http://{address}/ ./\n")).unwrap();
    let error = provide_in(
        &cache.path().join("cache"),
        &options_for(&sources),
        &mut io::sink(),
    )
    .unwrap_err();
    assert!(matches!(error, Error::NoPackage { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    assert!(names_in(&cache.path().join("cache")).is_empty());
}

#[test]
fn damaged_installation_is_replaced() {
    if !test_support::require(test_support::Requirement::Apt) {
        return;
    }
    let (cache, repository) = (tempfile::tempdir().unwrap(), Repository::new());
    create_fake(cache.path(), 15, 1);
    provide_in(cache.path(), &repository.options(), &mut io::sink()).unwrap();
    let tree = installation::cached_tree(cache.path(), 15);
    assert!(tree.join("usr/lib/postgresql/15/bin/postgres").is_file());
}

#[test]
fn unpacked_package_owns_its_files_and_keeps_its_copyright_file() {
    if !test_support::require(test_support::Requirement::Apt) {
        return;
    }
    let (work, repository) = (tempfile::tempdir().unwrap(), Repository::new());
    let copyright = "usr/share/doc/selfheal-test-base/copyright";
    let library = "usr/lib/x86_64-linux-gnu/libselfheal-linked.so.1";
    repository.add("selfheal-test-base", "", &[copyright]);
    let base = Some("selfheal-test-base");
    repository.add_linked("libselfheal-linked1", "", &[library], base);
    let names = ["selfheal-test-base", "libselfheal-linked1"].map(str::to_owned);
    let apt = Apt::with_updated_lists(work.path(), &repository.options()).unwrap();
    let tree = work.path().join("tree");
    fs::create_dir(&tree).unwrap();
    let owners = packages::unpack(&apt, &names, work.path(), &tree).unwrap();
    let expected = [
        (library, "libselfheal-linked1"),
        ("usr/share/doc/libselfheal-linked1", "libselfheal-linked1"),
        (copyright, "selfheal-test-base"),
    ];
    let expected = expected.map(|(path, name)| (PathBuf::from(path), name.to_owned()));
    assert_eq!(owners, expected.into());
    assert!(packages::copyright(&tree, "libselfheal-linked1").is_file());
}
