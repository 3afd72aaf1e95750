//! The program in its other roles: it starts itself again where a step needs a process of its own.
//!
//! `__pod` enters the pod's network and makes the container's namespaces; `__container` is their first process, builds
//! the root and becomes the container's program; `__processes` and `__pause` hold what a pod's containers share; `__exec` joins a container that runs; `__janitor` waits for the node's
//! end. Each has one thread, which entering and making namespaces asks for, and all of it is safe code: no fork without an exec.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitCode, ExitStatus};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::exec;
use super::processes;
use super::root;
use super::spec::ContainerSpec;

/// What a shell says of a command that it cannot find.
const NOT_FOUND: u8 = 127;
/// What a runtime says of a container that it could not start.
const NOT_STARTED: u8 = 128;

/// Plays the role that the command line names, if it names one; for the very start of `main`, before any thread.
#[must_use]
pub fn dispatch() -> Option<ExitCode> {
    let role = std::env::args().nth(1)?;
    if role.starts_with("__")
        && let Err(error) = release_signals()
    {
        let _ = writeln!(io::stderr(), "selfheal: {error}");
    }
    let played = match role.as_str() {
        "__pod" => pod(),
        "__container" => container(),
        "__processes" => processes::holder(),
        "__pause" => processes::pause(),
        "__exec" => exec::role(),
        "__janitor" => janitor(),
        _ => return None,
    };
    Some(played.unwrap_or_else(|error| {
        // It is the container's log: there is nowhere else to say it.
        let _ = writeln!(io::stderr(), "selfheal: {error}");
        ExitCode::from(if error.kind() == io::ErrorKind::NotFound {
            NOT_FOUND
        } else {
            NOT_STARTED
        })
    }))
}

/// This program again, in another role.
pub fn again(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    // What process lists show.
    command.arg0("selfheal").arg(role);
    command
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Outlives whoever started it by a moment, to take away a file that must not.
fn janitor() -> io::Result<ExitCode> {
    let file = std::env::args_os().nth(2);
    let file = file.ok_or_else(|| io::Error::other("no file to take away"))?;
    read_stdin()?;
    std::fs::remove_file(file)?;
    Ok(ExitCode::SUCCESS)
}

fn pod() -> io::Result<ExitCode> {
    let bytes = read_stdin()?;
    let spec: ContainerSpec = serde_json::from_slice(&bytes)?;
    let network = std::fs::File::open(&spec.network)?;
    setns(network, CloneFlags::CLONE_NEWNET)?;
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    match &spec.processes {
        None => unshare(own | CloneFlags::CLONE_NEWPID)?,
        Some(shared) => {
            setns(process(shared.first)?, CloneFlags::CLONE_NEWPID)?;
            unshare(own)?;
            std::fs::write(&shared.mounts_file, processes::own_mounts()?)?;
        }
    }
    let signals = hold_signals()?;
    // The container moves both of them into its root.
    let nowhere = std::fs::File::open("/dev/null")?;
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = again("__container");
    let mut child = command.stdin(OwnedFd::from(theirs)).spawn()?;
    // The command would keep a copy of their end.
    drop(command);
    // Whoever joins the container asks for this number.
    std::fs::write(&spec.pid_file, child.id().to_string())?;
    ours.write_all(&bytes)?;
    ours.shutdown(Shutdown::Write)?;
    // The other end closes when the container becomes its program, or ends before.
    let _ = ours.read(&mut [0])?;
    // Which is how this one tells of it.
    nix::unistd::dup2_stdin(nowhere)?;
    supervise(&mut child, &signals, |child, signal| {
        let _ = kill(child, signal);
    })
}

fn container() -> io::Result<ExitCode> {
    let spec: ContainerSpec = serde_json::from_slice(&read_stdin()?)?;
    // Closed by becoming the program, and not before.
    let _until_then = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = program_stdin(&spec)?;
    root::enter(&spec)?;
    let error = root::become_program(&spec, stdin);
    Err(error)
}

/// What the container's program reads from: opened where its path still means something.
fn program_stdin(spec: &ContainerSpec) -> io::Result<OwnedFd> {
    if spec.tty {
        own_terminal("/proc/self/fd/1")?;
        return io::stdout().as_fd().try_clone_to_owned();
    }
    let nothing = std::path::Path::new("/dev/null");
    let file = std::fs::File::open(spec.stdin.as_deref().unwrap_or(nothing))?;
    Ok(file.into())
}

/// Begins a session that has this terminal, whose keys then mean its processes.
pub(super) fn own_terminal(path: &str) -> io::Result<()> {
    nix::unistd::setsid()?;
    // Opening a terminal makes it the session's.
    std::fs::File::open(path).map(drop)
}

/// One of the machine's processes, whose namespaces can be joined.
pub(super) fn process(number: i32) -> io::Result<OwnedFd> {
    let number = rustix::process::Pid::from_raw(number)
        .ok_or_else(|| io::Error::other("the container has no process"))?;
    let flags = rustix::process::PidfdFlags::empty();
    Ok(rustix::process::pidfd_open(number, flags)?)
}

/// What whoever started this role held for itself is not held here: signals that are held pass to children.
fn release_signals() -> io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Keeps signals for [`supervise`].
pub fn hold_signals() -> io::Result<SigSet> {
    let mut signals = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        signals.add(signal);
    }
    signals.thread_block()?;
    Ok(signals)
}

/// Waits for a child, passes signals on to it, and ends as it ended.
pub fn supervise(
    child: &mut Child,
    signals: &SigSet,
    pass: impl Fn(Pid, Signal),
) -> io::Result<ExitCode> {
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let ended = || Ok(child.try_wait()?.map(code));
    attend(ended, signals, |signal| pass(pid, signal))
}

/// Waits for what has `ended` with a code, and passes signals on to it.
pub(super) fn attend(
    mut ended: impl FnMut() -> io::Result<Option<u8>>,
    signals: &SigSet,
    pass: impl Fn(Signal),
) -> io::Result<ExitCode> {
    loop {
        if let Some(code) = ended()? {
            return Ok(ExitCode::from(code));
        }
        match signals.wait()? {
            Signal::SIGCHLD => {}
            signal => pass(signal),
        }
    }
}

/// The exit code, 128 and the signal's number where a signal ended it.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
