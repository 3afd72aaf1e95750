//! Ports of this host and the processes that listen on them.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Returns the reason why `port` of the loopback address cannot be bound, with the process that listens if known; `None` if it
/// can be bound.
pub(crate) fn find_conflict(port: u16) -> Option<String> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => None,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Some(describe_use(port)),
        Err(error) => Some(format!("port {port}: {error}")),
    }
}

/// Describes the conflict with the process that listens on `port`.
fn describe_use(port: u16) -> String {
    match find_listener(port) {
        Some(process) => format!("port {port} is in use by {process}; stop it first"),
        None => format!("port {port} is in use (`ss -ltnp` as root shows by which process)"),
    }
}

/// Returns program, arguments and PID of the process that listens on `port`; `None` if it belongs to another user.
#[cfg(target_os = "linux")]
fn find_listener(port: u16) -> Option<String> {
    use procfs::net::TcpState;
    use procfs::process::{FDTarget, all_processes};

    let tables = [procfs::net::tcp(), procfs::net::tcp6()];
    let sockets: Vec<u64> = tables
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.state == TcpState::Listen && entry.local_address.port() == port)
        .map(|entry| entry.inode)
        .collect();
    let is_listener = |process: &procfs::process::Process| {
        let files = process.fd().into_iter().flatten().flatten();
        files
            .into_iter()
            .any(|file| matches!(file.target, FDTarget::Socket(inode) if sockets.contains(&inode)))
    };
    let mut processes = all_processes().ok()?.flatten();
    let process = processes.find(is_listener)?;
    let command = process.cmdline().ok().filter(|command| !command.is_empty());
    let command = command.map_or_else(
        || process.stat().ok().map(|stat| stat.comm),
        |command| Some(abbreviate(&command)),
    );
    Some(format!("{} (pid {})", command?, process.pid))
}

#[cfg(not(target_os = "linux"))]
fn find_listener(_: u16) -> Option<String> {
    None
}

/// Returns the program's name and its first arguments, without the role of an internal process.
#[cfg(target_os = "linux")]
fn abbreviate(command: &[String]) -> String {
    let mut words = command.iter();
    let program = words
        .next()
        .map_or("", |program| program.rsplit('/').next().unwrap_or_default());
    let arguments = words.filter(|word| !word.starts_with("__")).take(3);
    let words: Vec<&str> = std::iter::once(program)
        .chain(arguments.map(String::as_str))
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_in_use_names_the_process_that_listens() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let conflict = find_conflict(port).unwrap();
        let expected = format!("port {port} is in use");
        assert!(conflict.starts_with(&expected), "{conflict}");
        #[cfg(target_os = "linux")]
        {
            let pid = format!("(pid {})", std::process::id());
            assert!(conflict.contains(&pid), "{conflict}");
        }
        drop(listener);
        assert_eq!(find_conflict(port), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn abbreviated_command_has_no_internal_role() {
        let command = ["/usr/bin/selfheal", "__node-init", "up", "--port", "1", "x"];
        let command = command.map(str::to_owned);
        assert_eq!(abbreviate(&command), "selfheal up --port 1");
    }
}
