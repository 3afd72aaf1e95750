//! The role `__container-init`: builds the root file system and executes the container's program, as PID 1.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use nix::sys::prctl;
use nix::sys::signal::Signal;

use super::rootfs;
use super::security::drop_capabilities;
use super::user::set_user;
use super::{read_stdin, set_controlling_terminal};
use crate::local::io_context;
use crate::local::spec::ContainerSpec;

pub(super) fn run() -> io::Result<ExitCode> {
    let spec: ContainerSpec = serde_json::from_slice(&read_stdin()?)?;
    // Keeps the socket to the shim open until exec closes it.
    let _until_exec = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = open_stdin(&spec)?;
    rootfs::setup_and_pivot(&spec)?;
    match exec_program(&spec, stdin)? {}
}

/// Opens the standard input of the container's program while its path is still visible.
fn open_stdin(spec: &ContainerSpec) -> io::Result<OwnedFd> {
    if spec.tty {
        set_controlling_terminal("/proc/self/fd/1")?;
        return io::stdout().as_fd().try_clone_to_owned();
    }
    let dev_null = Path::new("/dev/null");
    let file = fs::File::open(spec.stdin.as_deref().unwrap_or(dev_null))?;
    Ok(file.into())
}

/// Replaces this process by the container's program. Returns only if that fails.
fn exec_program(spec: &ContainerSpec, stdin: OwnedFd) -> io::Result<Infallible> {
    nix::unistd::dup2_stdin(stdin)?;
    let cwd = spec.cwd.as_deref().unwrap_or("/");
    if !Path::new(cwd).is_dir() {
        fs::create_dir_all(cwd)?;
    }
    nix::unistd::chdir(cwd).map_err(io_context(format!("changing to {cwd}")))?;
    drop_capabilities()?;
    set_user(&spec.user)?;
    prctl::set_no_new_privs()?;
    // After the change of user, which resets the parent-death signal.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let program = spec.argv.first().map(String::as_str).unwrap_or_default();
    let path = rootfs::lookup(program, &spec.env)?;
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
    nix::unistd::execve(&path_text, &argv, &env).map_err(io_context(format!("exec: {program:?}")))
}
