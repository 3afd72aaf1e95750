//! Small file system that a test fills. Needs root.

use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Small file system for this thread and its child processes; removed with them.
pub(crate) struct Tmpfs {
    dir: tempfile::TempDir,
}

impl Tmpfs {
    /// Mounts a file system of `size` KiB that all users can write to.
    pub(crate) fn new(size: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        // The kernel removes the mount with its namespace.
        let private = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
            let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, flags, None::<&str>)
        });
        let tmpfs = Self { dir };
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
        let (kind, path) = (Some("tmpfs"), self.dir.path());
        mount(kind, path, kind, flags, Some(options.as_str()))
    }

    /// Makes the file system read-only.
    pub(crate) fn make_read_only(&self, size: u32) {
        self.mount(size, MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY)
            .unwrap();
    }

    /// Increases the size to `size` KiB.
    pub(crate) fn grow(&self, size: u32) {
        self.mount(size, MsFlags::MS_REMOUNT).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Creates a directory for the user of the test's servers.
    pub(crate) fn dir_of_server(&self, name: &str) -> PathBuf {
        let dir = self.path().join(name);
        std::fs::create_dir(&dir).unwrap();
        if let Some(user) = test_support::postgres::ordinary_user() {
            std::os::unix::fs::chown(&dir, Some(user.uid.as_raw()), None).unwrap();
        }
        dir
    }
}
