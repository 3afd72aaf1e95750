//! A small disk that a test fills. Needs root.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// A small disk for this thread and what it starts; gone with them.
pub(crate) struct Tmpfs {
    folder: tempfile::TempDir,
}

impl Tmpfs {
    /// A disk of so many KiB, for everybody to write to.
    pub(crate) fn new(size: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        // A mount namespace of its own: nothing is left of it, however this ends.
        let private = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        });
        let tmpfs = Self { folder };
        match private.and_then(|()| tmpfs.mount(size, MsFlags::empty())) {
            Ok(()) => Some(tmpfs),
            Err(error) => {
                let reason = format!("cannot mount a tmpfs: {error}");
                test_support::skip(test_support::Requirement::Root, &reason);
                None
            }
        }
    }

    fn mount(&self, size: u32, flags: MsFlags) -> nix::Result<()> {
        let options = format!("size={size}k,mode=0777");
        let (kind, path) = (Some("tmpfs"), self.folder.path());
        mount(kind, path, kind, flags, Some(options.as_str()))
    }

    /// Gives it more room.
    pub(crate) fn grow(&self, size: u32) {
        self.mount(size, MsFlags::MS_REMOUNT).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder on it that belongs to whoever runs servers here.
    pub(crate) fn folder_of_server(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        if let Some(user) = test_support::postgres::ordinary_user() {
            std::os::unix::fs::chown(&folder, Some(user.uid.as_raw()), None).unwrap();
        }
        folder
    }
}
