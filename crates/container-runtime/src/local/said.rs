//! The file that a container may write to why it ends.

use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::spec::Bind;
use crate::Termination;
use crate::termination::MOST_OF_FILE;

/// Where it is, in the container's folder.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("termination-log")
}

/// Makes it, for whoever the container's processes are, and says where they see it; none where it is not asked for.
pub(super) fn make(folder: &Path, termination: &Termination) -> io::Result<Option<Bind>> {
    if termination.path.is_empty() {
        return Ok(None);
    }
    let source = file(folder);
    File::create(&source)?.set_permissions(Permissions::from_mode(0o666))?;
    Ok(Some(Bind {
        source,
        target: termination.path.clone(),
        read_only: false,
    }))
}

/// As much of it as is told of; nothing where it was not made.
pub(super) fn read(file: &Path) -> Vec<u8> {
    let mut said = Vec::new();
    if let Ok(file) = File::open(file) {
        // What can be read of it is all there is to tell.
        let _ = file.take(MOST_OF_FILE as u64).read_to_end(&mut said);
    }
    said
}
