//! File of the kubeconfig, which holds the token of the node.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// Creates the kubeconfig's file, empty and readable by its owner only: `requested`, or a file of its own for this process
/// outside the working tree. Under sudo the file belongs to the user who called sudo.
///
/// # Errors
/// When the file exists or cannot be created.
pub(crate) fn reserve(requested: Option<&Path>) -> anyhow::Result<PathBuf> {
    let file = match requested {
        Some(file) => file.to_owned(),
        None => default_dir()?.join(format!("{}.kubeconfig", std::process::id())),
    };
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&file);
    created.map_err(|error| anyhow::anyhow!("{}", describe_error(&file, &error)))?;
    give_to_sudo_user(&file)?;
    Ok(file)
}

/// Returns an error text with the remedy.
fn describe_error(file: &Path, error: &io::Error) -> String {
    let file = file.display();
    let advice = match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "the file exists already, and another node or cluster may use it; choose another one with --kubeconfig FILE"
        }
        io::ErrorKind::PermissionDenied => {
            "no permission to create a file there; choose a writable directory with --kubeconfig FILE"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only; choose a writable directory with --kubeconfig FILE"
        }
        io::ErrorKind::NotFound => "the directory does not exist; create it first",
        _ => return format!("--kubeconfig {file}: {error}"),
    };
    format!("--kubeconfig {file}: {advice}")
}

/// Creates the directory for kubeconfigs, readable by its owner only, at the first possible candidate.
fn default_dir() -> anyhow::Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let mut failure = None;
    for dir in candidates(variable) {
        match create_private_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| anyhow::anyhow!("no directory for the kubeconfig")))
}

/// Returns `selfheal` in the XDG runtime directory and in the XDG state directory, and a directory of this user in the
/// temporary one.
fn candidates(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let runtime = absolute("XDG_RUNTIME_DIR").filter(|dir| dir.is_dir());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    let state = absolute("XDG_STATE_HOME").or_else(home);
    let user_dirs = [runtime, state].into_iter().flatten();
    let uid = rustix::process::geteuid().as_raw();
    let temporary = std::env::temp_dir().join(format!("selfheal-{uid}"));
    let named = user_dirs.map(|base| base.join("selfheal"));
    named.chain([temporary]).collect()
}

/// Creates `dir` with mode 0700, or checks that an existing one belongs to this user and that other users cannot enter it.
fn create_private_dir(dir: &Path) -> anyhow::Result<()> {
    let context = || {
        format!(
            "creating {} (choose a file with --kubeconfig FILE)",
            dir.display()
        )
    };
    let existed = dir.exists();
    if let Some(parent) = dir.parent() {
        fs::create_dir_all(parent).with_context(context)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(context);
        }
        _ => {}
    }
    if !existed {
        give_to_sudo_user(dir)?;
    }
    let metadata = fs::symlink_metadata(dir).with_context(context)?;
    let uid = rustix::process::geteuid();
    let is_own = uid.is_root() || metadata.uid() == uid.as_raw();
    if !metadata.is_dir() || !is_own || metadata.mode() & 0o077 != 0 {
        bail!(
            "{} has to be a directory of this user with mode 0700; choose a file with --kubeconfig FILE",
            dir.display()
        );
    }
    Ok(())
}

/// Changes the owner to the user who called sudo, so that their kubectl can read the file.
fn give_to_sudo_user(path: &Path) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let id = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let (Some(uid), gid) = (id("SUDO_UID"), id("SUDO_GID")) else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(uid), gid)
        .with_context(|| format!("changing the owner of {} to uid {uid}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_file_is_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("k");
        assert_eq!(reserve(Some(&file)).unwrap(), file);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        let error = reserve(Some(&file)).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        let error = reserve(Some(&dir.path().join("no/k")))
            .unwrap_err()
            .to_string();
        assert!(error.contains("does not exist"), "{error}");
    }

    #[test]
    fn errors_of_creating_the_file_have_a_remedy() {
        let file = Path::new("/x/k");
        for (kind, part) in [
            (io::ErrorKind::AlreadyExists, "choose another one"),
            (io::ErrorKind::PermissionDenied, "no permission"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
        ] {
            let text = describe_error(file, &kind.into());
            assert!(
                text.contains(part) && text.contains("--kubeconfig /x/k"),
                "{text}"
            );
        }
    }

    #[test]
    fn candidates_are_runtime_state_and_temporary_directory() {
        let runtime = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let temporary = std::env::temp_dir().join(format!("selfheal-{uid}"));
        let in_runtime = runtime.path().join("selfheal");
        let runtime = ("XDG_RUNTIME_DIR", runtime.path().to_str().unwrap());
        let (state, home) = (("XDG_STATE_HOME", "/state"), ("HOME", "/home/me"));
        let in_state = PathBuf::from("/state/selfheal");
        let in_home = PathBuf::from("/home/me/.local/state/selfheal");
        for (variables, expected) in [
            (
                &[runtime, state, home][..],
                vec![in_runtime, in_state.clone()],
            ),
            (&[state, home], vec![in_state]),
            (&[home], vec![in_home]),
            (
                &[("HOME", "relative"), ("XDG_RUNTIME_DIR", "/no/such/dir")],
                vec![],
            ),
        ] {
            let found = candidates(|name| {
                let known = variables.iter().find(|(known, _)| *known == name);
                known.map(|(_, path)| PathBuf::from(path))
            });
            let expected: Vec<_> = expected.into_iter().chain([temporary.clone()]).collect();
            assert_eq!(found, expected, "{variables:?}");
        }
    }

    #[test]
    fn directory_that_others_can_enter_is_rejected() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("a/b");
        create_private_dir(&private).unwrap();
        assert_eq!(fs::metadata(&private).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&private, fs::Permissions::from_mode(0o755)).unwrap();
        let error = create_private_dir(&private).unwrap_err().to_string();
        assert!(error.contains("0700"), "{error}");
    }
}
