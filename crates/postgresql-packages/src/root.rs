//! The root of the image todo-db: a server, its libraries, a shell, and the entrypoint.

mod copyright;
mod libraries;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::apt::Apt;
use crate::error::{Error, file};
use crate::packages::Owners;
use crate::{dpkg, files, packages, programs};

/// Packages in addition to those of the server.
const EXTRA: [&str; 2] = ["busybox-static", "tzdata"];
/// Package of the locale C.utf8.
const LOCALE: &str = "libc-bin";
/// Programs of the server that the image keeps.
const PROGRAMS: [&str; 4] = ["postgres", "initdb", "pg_ctl", "psql"];
/// Commands that BusyBox provides.
const COMMANDS: [&str; 9] = [
    "sh", "sleep", "cat", "ls", "id", "env", "gzip", "xz", "kill",
];

const PASSWD: &str = "root:x:0:0::/:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n\
                      postgres-alpine:x:70:70::/var/lib/postgresql:/bin/sh\n";
const GROUP: &str = "root:x:0:\npostgres:x:999:\npostgres-alpine:x:70:\n";

/// Fills `root` with a server of this major version, `entrypoint` as `todo-db`, and `pg_ready`.
///
/// Packages that are installed are copied from the host; others are downloaded (about 30 MB in all) and not installed.
///
/// # Errors
/// See [`Error`].
pub fn build(major: u32, entrypoint: &Path, pg_ready: &Path, root: &Path) -> Result<(), Error> {
    dpkg::require_programs()?;
    let work = tempfile::tempdir().map_err(file("creating", std::env::temp_dir()))?;
    let tree = work.path().join("tree");
    fs::create_dir(&tree).map_err(file("creating", &tree))?;
    let owners = collect(major, work.path(), &tree)?;
    copy_server(&tree, major, root)?;
    let copied = libraries::copy(&tree, &programs::server_dir(root, major), root)?;
    copy_shell(&tree, root)?;
    let mut names = copyright::owners_of(&copied, &tree, &owners)?;
    names.extend(named_packages(major));
    copyright::copy(&names, &tree, root)?;
    copy_programs(entrypoint, pg_ready, major, root)?;
    write_accounts(root)?;
    open_dirs(root)
}

/// Returns the packages that the image always needs, without those of the server's libraries.
fn named_packages(major: u32) -> BTreeSet<String> {
    let others = EXTRA.into_iter().chain([LOCALE]).map(str::to_owned);
    packages::of_server(major)
        .into_iter()
        .chain(others)
        .collect()
}

/// Fills `tree` with the files of all packages.
fn collect(major: u32, work: &Path, tree: &Path) -> Result<Owners, Error> {
    let installed = dpkg::installed()?;
    let [server, client] = packages::of_server(major);
    let has_server = installed.contains(&server);
    let has_all = has_server && EXTRA.iter().all(|name| installed.contains(*name));
    let apt = if has_all {
        Apt::system()
    } else {
        Apt::with_updated_lists(work, &[])?
    };
    apt.require_server(major)?;
    let names = EXTRA
        .map(str::to_owned)
        .into_iter()
        .chain(apt.libraries(major)?);
    let (here, mut missing): (Vec<_>, Vec<_>) = [server, client]
        .into_iter()
        .chain(names)
        .partition(|name| installed.contains(name));
    // An installed server has all its dependencies; a missing package is an unused alternative.
    missing.retain(|name| !has_server || EXTRA.contains(&name.as_str()));
    let mut owners = packages::unpack(&apt, &missing, work, tree)?;
    for name in &here {
        owners.append(&mut packages::copy_installed(name, tree)?);
    }
    Ok(owners)
}

fn copy_server(tree: &Path, major: u32, root: &Path) -> Result<(), Error> {
    let (source, target) = (
        programs::server_dir(tree, major),
        programs::server_dir(root, major),
    );
    for name in PROGRAMS {
        files::copy(
            &source.join("bin").join(name),
            &target.join("bin").join(name),
        )?;
    }
    files::copy_tree(&source.join("lib"), &target.join("lib"))?;
    programs::remove_compiler(&target)?;
    for below in [
        "usr/share/postgresql",
        "usr/share/zoneinfo",
        "usr/lib/locale/C.utf8",
    ] {
        files::copy_tree(&tree.join(below), &root.join(below))?;
    }
    let man = format!("usr/share/postgresql/{major}/man");
    for unwanted in [
        man.as_str(),
        "usr/share/zoneinfo/right",
        "usr/share/zoneinfo/posix",
    ] {
        files::remove(&root.join(unwanted))?;
    }
    Ok(())
}

fn copy_shell(tree: &Path, root: &Path) -> Result<(), Error> {
    let busybox = ["bin", "usr/bin"].map(|dir| tree.join(dir).join("busybox"));
    let busybox = busybox
        .iter()
        .find(|path| path.is_file())
        .unwrap_or(&busybox[0]);
    install(busybox, &root.join("bin/busybox"))?;
    COMMANDS
        .iter()
        .try_for_each(|name| link("busybox", &root.join("bin").join(name)))
}

fn copy_programs(entrypoint: &Path, pg_ready: &Path, major: u32, root: &Path) -> Result<(), Error> {
    let bin = root.join("usr/local/bin");
    install(entrypoint, &bin.join("todo-db"))?;
    install(pg_ready, &bin.join("pg-ready"))?;
    link("pg-ready", &bin.join("pg_isready"))?;
    let psql = format!("../../usr/lib/postgresql/{major}/bin/psql");
    link(&psql, &root.join("usr/bin/psql"))
}

fn install(source: &Path, target: &Path) -> Result<(), Error> {
    let source = source.canonicalize().map_err(file("reading", source))?;
    files::copy(&source, target)?;
    files::set_mode(target, 0o755)
}

fn link(target: &str, path: &Path) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(file("creating", dir))?;
    }
    symlink(target, path).map_err(file("creating", path))
}

fn write_accounts(root: &Path) -> Result<(), Error> {
    let etc = root.join("etc");
    fs::create_dir_all(&etc).map_err(file("creating", &etc))?;
    for (name, text) in [("passwd", PASSWD), ("group", GROUP)] {
        let path = etc.join(name);
        fs::write(&path, text).map_err(file("writing", &path))?;
    }
    Ok(())
}

/// Creates the directories that the server writes to, for any user of the container, like the official image.
fn open_dirs(root: &Path) -> Result<(), Error> {
    let written = ["tmp", "run/postgresql", "var/lib/postgresql/data"].map(|dir| root.join(dir));
    for dir in written
        .iter()
        .chain([&root.join("docker-entrypoint-initdb.d")])
    {
        fs::create_dir_all(dir).map_err(file("creating", dir))?;
    }
    link("../run", &root.join("var/run"))?;
    files::open_to_all(root)?;
    written
        .iter()
        .try_for_each(|dir| files::set_mode(dir, 0o1777))
}
