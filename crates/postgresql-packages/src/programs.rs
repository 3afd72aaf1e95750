//! PostgreSQL's programs in a tree of unpacked packages, started with the libraries of the tree.
//!
//! The server finds its templates relative to its own path, but its libraries only by `LD_LIBRARY_PATH`, which a script for each program
//! sets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::command::{stdout, untranslated};
use crate::error::{Error, file};
use crate::files;

/// Programs that an installation must have.
const CHECKED: [&str; 3] = ["postgres", "initdb", "psql"];

/// Directory of the server's programs below a tree.
pub(crate) fn server_dir(tree: &Path, major: u32) -> PathBuf {
    tree.join(format!("usr/lib/postgresql/{major}"))
}

/// Directories of libraries below a tree, those of one architecture such as `usr/lib/x86_64-linux-gnu`.
pub(crate) fn library_dirs(tree: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut dirs = Vec::new();
    for dir in ["lib", "usr/lib"].map(|below| tree.join(below)) {
        let entries = if dir.is_dir() {
            files::entries(&dir)?
        } else {
            Vec::new()
        };
        let is_library_dir =
            |path: &PathBuf| path.is_dir() && path.to_string_lossy().contains("-linux-gnu");
        dirs.extend(entries.into_iter().filter(is_library_dir));
    }
    Ok(dirs)
}

/// Removes the JIT compiler: the server would load it for long queries, and its library LLVM is not unpacked.
pub(crate) fn remove_compiler(server: &Path) -> Result<(), Error> {
    let lib = server.join("lib");
    let is_compiler = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name == "bitcode" || name.starts_with("llvmjit")
    };
    files::entries(&lib)?
        .iter()
        .filter(|path| is_compiler(path))
        .try_for_each(|path| files::remove(path))
}

/// Writes a script into `tree/bin` for each program of the server.
pub(crate) fn write_scripts(tree: &Path, major: u32) -> Result<(), Error> {
    let bin = tree.join("bin");
    // A package may contain a directory of this name.
    fs::create_dir_all(&bin).map_err(file("creating", &bin))?;
    let dirs = library_dirs(tree)?;
    let dirs = dirs.iter().filter_map(|dir| dir.strip_prefix(tree).ok());
    let dirs: Vec<_> = dirs.map(|dir| format!("$tree/{}", dir.display())).collect();
    for program in files::entries(&server_dir(tree, major).join("bin"))? {
        let below = program.strip_prefix(tree).unwrap_or(&program);
        let path = bin.join(program.file_name().unwrap_or_default());
        fs::write(&path, script(&dirs.join(":"), below)).map_err(file("writing", &path))?;
        files::set_mode(&path, 0o755)?;
    }
    Ok(())
}

fn script(libraries: &str, program: &Path) -> String {
    format!(
        "#!/bin/sh\ntree=${{0%/*}}/..\nLD_LIBRARY_PATH={libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\n\
         export LD_LIBRARY_PATH\nexec \"$tree/{}\" \"$@\"\n",
        program.display()
    )
}

/// Runs the programs in `bin`. Fails for another architecture or distribution, or a missing library.
pub(crate) fn check(bin: &Path) -> Result<(), Error> {
    for name in CHECKED {
        let program = bin.join(name).to_string_lossy().into_owned();
        stdout(
            untranslated(&program)
                .arg("--version")
                .stderr(Stdio::piped()),
        )?;
    }
    Ok(())
}
