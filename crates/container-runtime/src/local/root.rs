//! A container's root: this machine's programs and libraries read-only, and everything else the container's own.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::statvfs::{FsFlags, statvfs};

use super::confine::{confine_proc, drop_rights};
use super::shadow::Shadows;
use super::spec::{Bind, ContainerSpec, Fittings};
use super::user::{become_user, explain};

/// What programs need of the machine they were built for.
pub(super) const SHARED: [&str; 6] = ["usr", "bin", "sbin", "lib", "lib32", "lib64"];

/// What libraries need of `/etc`. The rest of it is nobody's business in a container.
const SHARED_ETC: [&str; 5] = [
    "ld.so.cache",
    "ssl",
    "localtime",
    "alternatives",
    "ca-certificates",
];

/// What every container has of its own.
const OWN: [&str; 9] = [
    "app", "dev", "etc", "home", "proc", "root", "run", "sys", "var",
];

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const PASSWD: &str =
    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";

/// Builds the root and makes it this process's only one.
pub(super) fn enter(spec: &ContainerSpec) -> io::Result<()> {
    let root = spec.root.as_path();
    mount(
        none(),
        "/",
        none(),
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        none(),
    )?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), root, Some("tmpfs"), flags, Some("mode=755"))?;
    for name in SHARED {
        share(root, name)?;
    }
    own_folders(root)?;
    fit(root, &spec.fittings)?;
    devices(root)?;
    own_program(root, &spec.program, &spec.program_name)?;
    let mut shadows = Shadows::of(root);
    for volume in &spec.binds {
        bind_volume(root, volume, &mut shadows)?;
    }
    shadows.seal()?;
    // Some machines do not allow it; few programs look.
    let proc = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = mount(Some("proc"), &root.join("proc"), Some("proc"), proc, none());
    if mounted.is_ok() {
        confine_proc(&root.join("proc"))?;
    }
    nix::unistd::sethostname(&spec.hostname)?;
    pivot(root)?;
    if spec.read_only_root {
        read_only(Path::new("/"))?;
    }
    Ok(())
}

fn none() -> Option<&'static str> {
    None
}

/// A folder of the machine, or the link that stands for one.
fn share(root: &Path, name: &str) -> io::Result<()> {
    let (source, target) = (Path::new("/").join(name), root.join(name));
    let Ok(metadata) = fs::symlink_metadata(&source) else {
        return Ok(());
    };
    if metadata.is_symlink() {
        return symlink(fs::read_link(&source)?, target);
    }
    fs::create_dir(&target)?;
    bind(&source, &target, true)
}

/// Where a container sees its image's program: at its root, as in this project's images and many others.
pub(super) fn program(name: &str) -> String {
    if SHARED.contains(&name) || OWN.contains(&name) || name == "tmp" {
        format!("/app/{name}")
    } else {
        format!("/{name}")
    }
}

/// Mounts the program where the image has it, which is the path that `/proc/PID/exe` shows, and links to it from `/app`,
/// which is in PATH.
fn own_program(root: &Path, source: &Path, name: &str) -> io::Result<()> {
    let path = program(name);
    let target = inside(root, &path)?;
    File::create(&target)?;
    bind(source, &target, true)?;
    let linked = root.join("app").join(name);
    if linked == target {
        return Ok(());
    }
    symlink(path, linked)
}

fn own_folders(root: &Path) -> io::Result<()> {
    for name in OWN {
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
    for name in SHARED_ETC {
        let (source, target) = (Path::new("/etc").join(name), root.join("etc").join(name));
        match fs::metadata(&source) {
            Ok(metadata) if metadata.is_dir() => fs::create_dir(&target)?,
            Ok(_) => drop(File::create(&target)?),
            Err(_) => continue,
        }
        bind(&source, &target, true)?;
    }
    Ok(())
}

/// What the image brings beside its program.
fn fit(root: &Path, fittings: &Fittings) -> io::Result<()> {
    for name in &fittings.folders {
        let folder = inside(root, name)?;
        fs::create_dir_all(&folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))?;
    }
    append(&root.join("etc/passwd"), &fittings.users)?;
    append(&root.join("etc/group"), &fittings.groups)?;
    for tree in &fittings.trees {
        let target = inside(root, &tree.to_string_lossy())?;
        fs::create_dir_all(&target)?;
        bind(tree, &target, true)?;
    }
    Ok(())
}

fn append(file: &Path, lines: &[String]) -> io::Result<()> {
    let mut file = File::options().append(true).open(file)?;
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))
}

fn devices(root: &Path) -> io::Result<()> {
    for name in DEVICES {
        let (source, target) = (Path::new("/dev").join(name), root.join("dev").join(name));
        if source.exists() {
            File::create(&target)?;
            bind(&source, &target, false)?;
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

fn bind_volume(root: &Path, volume: &Bind, shadows: &mut Shadows<'_>) -> io::Result<()> {
    let explain = |error: io::Error| {
        let text = format!("mounting a volume at {}: {error}", volume.target);
        io::Error::new(error.kind(), text)
    };
    let target = inside(root, &volume.target)?;
    let made = if volume.source.is_dir() {
        shadows.create_dir_all(&target)
    } else {
        shadows.create(&target)
    };
    made.map_err(explain)?;
    bind(&volume.source, &target, volume.read_only).map_err(explain)
}

/// A container's path below its root: no step up is taken, wherever it would lead.
fn inside(root: &Path, path: &str) -> io::Result<PathBuf> {
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

pub(super) fn bind(source: &Path, target: &Path, ro: bool) -> io::Result<()> {
    mount(
        Some(source),
        target,
        none(),
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none(),
    )?;
    if ro { read_only(target) } else { Ok(()) }
}

/// What the mount already forbids stays forbidden: without root nobody may take it away.
pub(super) fn read_only(target: &Path) -> io::Result<()> {
    let found = statvfs(target)?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (is, keeps) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if found.contains(is) {
            flags |= keeps;
        }
    }
    Ok(mount(none(), target, none(), flags, none())?)
}

pub(super) fn pivot(root: &Path) -> io::Result<()> {
    let old = root.join(".old");
    fs::create_dir(&old)?;
    nix::unistd::pivot_root(root, &old)?;
    nix::unistd::chdir("/")?;
    umount2("/.old", MntFlags::MNT_DETACH)?;
    fs::remove_dir("/.old")
}

/// Becomes the container's program; returns only why not.
pub(super) fn become_program(spec: &ContainerSpec, stdin: OwnedFd) -> io::Error {
    match start(spec, stdin) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn start(spec: &ContainerSpec, stdin: OwnedFd) -> io::Result<Infallible> {
    nix::unistd::dup2_stdin(stdin)?;
    let cwd = spec.cwd.as_deref().unwrap_or("/");
    if !Path::new(cwd).is_dir() {
        fs::create_dir_all(cwd)?;
    }
    nix::unistd::chdir(cwd).map_err(explain(format!("changing to {cwd}")))?;
    drop_rights()?;
    become_user(&spec.user)?;
    prctl::set_no_new_privs()?;
    // After the change of user, which would take it away again.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let program = spec.argv.first().map(String::as_str).unwrap_or_default();
    let path = lookup(program, &spec.env)?;
    let text = |text: &str| CString::new(text).map_err(io::Error::other);
    let argv = spec
        .argv
        .iter()
        .map(|argument| text(argument))
        .collect::<io::Result<Vec<_>>>()?;
    let env = spec
        .env
        .iter()
        .map(|(name, value)| text(&format!("{name}={value}")));
    let env = env.collect::<io::Result<Vec<_>>>()?;
    let path_text = text(&path.to_string_lossy())?;
    nix::unistd::execve(&path_text, &argv, &env).map_err(explain(format!("exec: {program:?}")))
}

/// Where a program is: a path as it is, a name in the environment's PATH.
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
    let folders = path.map_or("", |(_, value)| value.as_str()).split(':');
    folders
        .filter(|folder| !folder.is_empty() && !program.is_empty())
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| missing("executable file not found in $PATH"))
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_program_is_at_the_root_unless_a_folder_there_has_its_name() {
        assert_eq!(program("numbers-api"), "/numbers-api");
        for taken in ["run", "usr", "tmp", "app"] {
            assert_eq!(program(taken), format!("/app/{taken}"));
        }
    }
}
