//! The file at a container's `terminationMessagePath`.

use std::fs::{File, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::spec::BindMount;
use crate::Termination;
use crate::termination::MAX_MESSAGE_LEN;

/// Returns the path of the file in the container's directory.
pub(super) fn path(container_dir: &Path) -> PathBuf {
    container_dir.join("termination-log")
}

/// Creates the file, writable for any user of the container, and returns its mount. Returns `None` if the manifest
/// disables it.
pub(super) fn create(
    container_dir: &Path,
    termination: &Termination,
) -> io::Result<Option<BindMount>> {
    if termination.path.is_empty() {
        return Ok(None);
    }
    let source = path(container_dir);
    File::create(&source)?.set_permissions(Permissions::from_mode(0o666))?;
    Ok(Some(BindMount {
        source,
        target: termination.path.clone(),
        read_only: false,
    }))
}

/// Returns at most [`MAX_MESSAGE_LEN`] bytes of the file; empty if it cannot be read.
pub(super) fn read(path: &Path) -> Vec<u8> {
    let mut content = Vec::new();
    if let Ok(file) = File::open(path) {
        // On an error, the bytes before it are the message.
        let _ = file.take(MAX_MESSAGE_LEN as u64).read_to_end(&mut content);
    }
    content
}
