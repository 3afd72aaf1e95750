//! Writes the licence notices of a program: its own licences, and those of the packages and libraries linked into it.
//!
//! `notices PACKAGE TARGET DIRECTORY` reads `cargo tree`, `cargo metadata` and the sources in cargo's registry. The same
//! `Cargo.lock` gives the same bytes. `cargo about` does the same for packages; this program needs no installation, and
//! adds the C library.

mod choice;
mod document;
mod packages;
mod platform;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

const NOTICES_FILE: &str = "THIRD-PARTY-NOTICES.txt";
const OWN_LICENSES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, target, directory] = &arguments[..] else {
        bail!("usage: notices PACKAGE TARGET DIRECTORY");
    };
    let workspace = workspace();
    let accepted = choice::Accepted::read(&workspace.join("deny.toml"))?;
    let contents = packages::find_contents(&workspace, package, target)?;
    let notices = document::render(package, target, &contents, &accepted)?;

    let directory = Path::new(directory);
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let file = directory.join(NOTICES_FILE);
    fs::write(&file, notices).with_context(|| format!("cannot write {}", file.display()))?;
    for name in OWN_LICENSES {
        fs::copy(workspace.join(name), directory.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    Ok(())
}

fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}
