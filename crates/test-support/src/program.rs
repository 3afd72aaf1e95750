//! A program under test, its output and its exit code.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A child process that is killed on drop. Standard output and standard error are one stream, which stays open until then.
#[derive(Debug)]
pub struct Program {
    child: Child,
    output: BufReader<PipeReader>,
    seen: String,
    /// Address or port of a server; empty for other programs.
    pub address: String,
}

impl Program {
    /// Starts the program with an empty standard input.
    #[track_caller]
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let (reader, writer) = pipe().unwrap();
        command.stderr(writer.try_clone().unwrap()).stdout(writer);
        let spawned = command.stdin(Stdio::null()).spawn();
        let child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        // `command` owns the writing end: kept open here, it would block the reader after the program's exit.
        drop(command);
        Self {
            child,
            output: BufReader::new(reader),
            seen: String::new(),
            address: String::new(),
        }
    }

    /// Starts a server and waits until it prints its address or port behind `marker`.
    ///
    /// # Panics
    /// If the program exits first.
    #[track_caller]
    #[must_use]
    pub fn spawn_server(command: Command, marker: &str) -> Self {
        match Self::try_spawn_server(command, marker) {
            Ok(server) => server,
            Err(output) => panic!("the program exited without {marker:?}: {output}"),
        }
    }

    /// As [`Self::spawn_server`].
    ///
    /// # Errors
    /// Output of a program that exits first.
    #[track_caller]
    pub fn try_spawn_server(command: Command, marker: &str) -> Result<Self, String> {
        let mut program = Self::spawn(command);
        let Some(line) = program.next_line(&[marker]) else {
            return Err(program.seen.clone());
        };
        let (_, rest) = line.split_once(marker).unwrap();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
        let address = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        program.address = address.to_owned();
        Ok(program)
    }

    /// Reads up to and including the first line that contains all of `parts`, and returns it.
    ///
    /// # Panics
    /// If the program exits first.
    #[track_caller]
    pub fn wait_for_line(&mut self, parts: &[&str]) -> String {
        self.next_line(parts)
            .unwrap_or_else(|| panic!("the program exited without {parts:?}: {}", self.seen))
    }

    fn next_line(&mut self, parts: &[&str]) -> Option<String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            self.seen.push_str(&line);
            if parts.iter().all(|part| line.contains(part)) {
                return Some(line);
            }
            line.clear();
        }
        None
    }

    /// Connects to the server and sends a GET request for `path`.
    #[must_use]
    pub fn send(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// Response to a GET request for `path`, with its status line and headers.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        std::io::read_to_string(self.send(path)).unwrap()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Waits for the exit and returns the status.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits for the exit and returns the exit code; `None` if a signal ended the program.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.wait().code()
    }

    /// Reads to the end of the output and returns all of it.
    pub fn output(mut self) -> String {
        self.output.read_to_string(&mut self.seen).unwrap();
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn server_address_is_read_from_its_log_line() {
        let script =
            "echo booting; echo 'listening address=127.0.0.1:80 ok' >&2; read -r _; exit 3";
        let mut program = Program::spawn_server(shell(script), "address=");
        assert_eq!(program.address, "127.0.0.1:80");
        assert_eq!(program.exit_code(), Some(3));
    }

    #[test]
    fn server_that_exits_without_its_line_returns_its_output() {
        let seen = Program::try_spawn_server(shell("echo no port; exit 1"), "address=");
        assert_eq!(seen.unwrap_err(), "no port\n");
    }

    #[test]
    fn signal_ends_a_program_without_an_exit_code() {
        let mut program = Program::spawn(shell("echo started; exec sleep 1000"));
        program.wait_for_line(&["started"]);
        program.signal(Signal::SIGTERM);
        assert_eq!(program.exit_code(), None);
        assert_eq!(program.output(), "started\n");
    }
}
