//! A container's root file system: programs and libraries of the host read-only, and directories of its own.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::mountpoints::WritableDirs;
use super::security::restrict_proc;
use crate::local::spec::{BindMount, ContainerSpec, ImageFiles};

/// Directories of the host that its programs need.
pub(super) const HOST_DIRS: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib32", "lib64"];

/// Entries of the host's `/etc` that its libraries need. The others stay hidden.
const HOST_ETC: [&str; 5] = [
    "ld.so.cache",
    "ssl",
    "localtime",
    "alternatives",
    "ca-certificates",
];

/// Directories that every root file system has of its own.
const ROOTFS_DIRS: [&str; 9] = [
    "app", "dev", "etc", "home", "proc", "root", "run", "sys", "var",
];

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// Access of a container to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    ReadOnly,
    ReadWrite,
}

/// Builds the root file system and makes it the root of this process's mount namespace.
pub(super) fn setup_and_pivot(spec: &ContainerSpec) -> io::Result<()> {
    let root = spec.root.as_path();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), root, Some("tmpfs"), flags, Some("mode=755"))?;
    for name in HOST_DIRS {
        mount_host_dir(root, name)?;
    }
    create_rootfs_dirs(root)?;
    apply_image_files(root, &spec.image_files)?;
    create_devices(root)?;
    mount_program(root, &spec.program, &spec.program_name)?;
    let mut writable_dirs = WritableDirs::new(root);
    for volume in &spec.bind_mounts {
        mount_volume(root, volume, &mut writable_dirs)?;
    }
    writable_dirs.remount_read_only()?;
    // Some hosts do not allow it, and few programs need `/proc`.
    let proc = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = mount(Some("proc"), &root.join("proc"), Some("proc"), proc, NONE);
    if mounted.is_ok() {
        restrict_proc(&root.join("proc"))?;
    }
    nix::unistd::sethostname(&spec.hostname)?;
    pivot(root)?;
    if spec.read_only_root_filesystem {
        remount_read_only(Path::new("/"))?;
    }
    Ok(())
}

const NONE: Option<&str> = None;

/// Mounts a directory of the host read-only, or copies it if it is a symbolic link.
fn mount_host_dir(root: &Path, name: &str) -> io::Result<()> {
    let (source, target) = (Path::new("/").join(name), root.join(name));
    let Ok(metadata) = fs::symlink_metadata(&source) else {
        return Ok(());
    };
    if metadata.is_symlink() {
        return symlink(fs::read_link(&source)?, target);
    }
    fs::create_dir(&target)?;
    bind_mount(&source, &target, Access::ReadOnly)
}

/// Returns the path of an image's program in the container: in `/`, as in this project's images, or in `/app` if `/` has
/// a directory of that name.
pub(in crate::local) fn program_path(name: &str) -> String {
    if HOST_DIRS.contains(&name) || ROOTFS_DIRS.contains(&name) || name == "tmp" {
        format!("/app/{name}")
    } else {
        format!("/{name}")
    }
}

/// Mounts the program at its path in the image, which `/proc/PID/exe` shows, and links to it from `/app`, which is in
/// PATH.
fn mount_program(root: &Path, source: &Path, name: &str) -> io::Result<()> {
    let path = program_path(name);
    let target = resolve_in_root(root, &path)?;
    File::create(&target)?;
    bind_mount(source, &target, Access::ReadOnly)?;
    let link = root.join("app").join(name);
    if link == target {
        return Ok(());
    }
    symlink(path, link)
}

fn create_rootfs_dirs(root: &Path) -> io::Result<()> {
    for name in ROOTFS_DIRS {
        fs::create_dir(root.join(name))?;
    }
    fs::create_dir(root.join("var/log"))?;
    for name in ["tmp", "var/tmp"] {
        fs::create_dir(root.join(name))?;
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(0o1777))?;
    }
    symlink("../run", root.join("var/run"))?;
    fs::write(root.join("etc/passwd"), PASSWD)?;
    fs::write(root.join("etc/group"), GROUP)?;
    fs::write(root.join("etc/nsswitch.conf"), "hosts: files dns\n")?;
    for name in HOST_ETC {
        let (source, target) = (Path::new("/etc").join(name), root.join("etc").join(name));
        match fs::metadata(&source) {
            Ok(metadata) if metadata.is_dir() => fs::create_dir(&target)?,
            Ok(_) => drop(File::create(&target)?),
            Err(_) => continue,
        }
        bind_mount(&source, &target, Access::ReadOnly)?;
    }
    Ok(())
}

fn apply_image_files(root: &Path, files: &ImageFiles) -> io::Result<()> {
    for name in &files.writable_dirs {
        let dir = resolve_in_root(root, name)?;
        fs::create_dir_all(&dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o1777))?;
    }
    append_lines(&root.join("etc/passwd"), &files.passwd_lines)?;
    append_lines(&root.join("etc/group"), &files.group_lines)?;
    for (path, content) in &files.files {
        let target = resolve_in_root(root, path)?;
        if let Some(dir) = target.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(target, content)?;
    }
    for tree in &files.host_trees {
        let target = resolve_in_root(root, &tree.to_string_lossy())?;
        fs::create_dir_all(&target)?;
        bind_mount(tree, &target, Access::ReadOnly)?;
    }
    Ok(())
}

fn append_lines(file: &Path, lines: &[String]) -> io::Result<()> {
    let mut file = File::options().append(true).open(file)?;
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))
}

fn create_devices(root: &Path) -> io::Result<()> {
    for name in DEVICES {
        let (source, target) = (Path::new("/dev").join(name), root.join("dev").join(name));
        if source.exists() {
            File::create(&target)?;
            bind_mount(&source, &target, Access::ReadWrite)?;
        }
    }
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        symlink(to, root.join("dev").join(name))?;
    }
    fs::create_dir(root.join("dev/shm"))?;
    fs::set_permissions(root.join("dev/shm"), fs::Permissions::from_mode(0o1777))
}

fn mount_volume(
    root: &Path,
    volume: &BindMount,
    writable_dirs: &mut WritableDirs<'_>,
) -> io::Result<()> {
    let context = |error: io::Error| {
        let text = format!("mounting a volume at {}: {error}", volume.target);
        io::Error::new(error.kind(), text)
    };
    let target = resolve_in_root(root, &volume.target)?;
    let created = if volume.source.is_dir() {
        writable_dirs.create_dir_all(&target)
    } else {
        writable_dirs.create_file(&target)
    };
    created.map_err(context)?;
    let access = if volume.read_only {
        Access::ReadOnly
    } else {
        Access::ReadWrite
    };
    bind_mount(&volume.source, &target, access).map_err(context)
}

/// Returns the path below `root` of a container's path. A path with `..` is an error.
fn resolve_in_root(root: &Path, path: &str) -> io::Result<PathBuf> {
    let mut target = root.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => target.push(name),
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other(format!(
                    "the path {path:?} leaves its root"
                )));
            }
        }
    }
    Ok(target)
}

pub(super) fn bind_mount(source: &Path, target: &Path, access: Access) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(source), target, NONE, flags, NONE)?;
    match access {
        Access::ReadOnly => remount_read_only(target),
        Access::ReadWrite => Ok(()),
    }
}

/// Adds `MS_RDONLY` to a mount's flags. The others are kept: an unprivileged user may not clear them.
pub(super) fn remount_read_only(target: &Path) -> io::Result<()> {
    let found = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (current, kept) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if found.contains(current) {
            flags |= kept;
        }
    }
    Ok(mount(NONE, target, NONE, flags, NONE)?)
}

/// Makes `root`, a mount point, the root directory and unmounts the old one.
pub(super) fn pivot(root: &Path) -> io::Result<()> {
    let old = root.join(".old");
    fs::create_dir(&old)?;
    nix::unistd::pivot_root(root, &old)?;
    nix::unistd::chdir("/")?;
    umount2("/.old", MntFlags::MNT_DETACH)?;
    fs::remove_dir("/.old")
}

/// Returns the path of a program: itself if it contains a slash, else the first match in the PATH of `env`.
pub(super) fn lookup(program: &str, env: &[(String, String)]) -> io::Result<PathBuf> {
    let missing = |why: &str| {
        let text = format!("exec: {program:?}: {why}");
        io::Error::new(io::ErrorKind::NotFound, text)
    };
    if program.contains('/') {
        let path = PathBuf::from(program);
        return if path.exists() {
            Ok(path)
        } else {
            Err(missing("no such file or directory"))
        };
    }
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let dirs = path.map_or("", |(_, value)| value.as_str()).split(':');
    dirs.filter(|dir| !dir.is_empty() && !program.is_empty())
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| missing("executable file not found in $PATH"))
}

#[cfg(test)]
mod tests {
    use super::program_path;

    #[test]
    fn program_is_in_the_root_directory_unless_a_directory_has_its_name() {
        assert_eq!(program_path("numbers-api"), "/numbers-api");
        for taken in ["run", "usr", "tmp", "app"] {
            assert_eq!(program_path(taken), format!("/app/{taken}"));
        }
    }
}
