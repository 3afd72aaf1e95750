//! Behaviour of a scripted container, as data.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{ContainerConfig, Image, ImageError, RuntimeError};

/// The workloads of a runtime.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// Image references, each with the name of its program.
    pub images: Vec<(String, String)>,
    /// Programs by name.
    pub programs: Vec<(String, Workload)>,
}

/// Behaviour of a program.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Ports that it listens on.
    pub ports: Vec<u16>,
    /// HTTP routes. Other paths respond with status 404.
    pub routes: Vec<Route>,
    /// Environment variable with the number of counted calls that succeed; unlimited if it is unset or 0.
    pub call_limit_variable: Option<String>,
    /// Commands that can be run in the container, by name.
    pub execs: Vec<(String, ScriptedExec)>,
    /// Reaction to SIGTERM.
    pub on_term: OnTerm,
    /// Time after which it exits, and the exit code; `None` if it runs until it is stopped.
    pub exit_after: Option<(Duration, i32)>,
}

impl Default for Workload {
    /// Returns a program that listens on no port and is terminated by SIGTERM.
    fn default() -> Self {
        Self {
            ports: vec![],
            routes: vec![],
            call_limit_variable: None,
            execs: vec![],
            on_term: OnTerm::Default,
            exit_after: None,
        }
    }
}

/// An HTTP route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path, without a query.
    pub path: String,
    /// Behaviour of the route.
    pub behavior: RouteBehavior,
}

/// Behaviour of an HTTP route.
#[derive(Clone, Debug)]
pub enum RouteBehavior {
    /// Counts the call.
    Counted {
        /// Response below the call limit.
        healthy: HttpReply,
        /// Response at the call limit.
        unhealthy: HttpReply,
    },
    /// Reports whether the call limit is reached, without counting the call.
    Health {
        /// Response below the call limit.
        healthy: HttpReply,
        /// Response at the call limit.
        unhealthy: HttpReply,
    },
    /// Resets the count.
    Reset(HttpReply),
}

/// Status and body of an HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpReply(pub u16, pub String);

/// Result of a command in a scripted container.
#[derive(Clone, Debug)]
pub enum ScriptedExec {
    /// A fixed exit code and output.
    Fixed(i32, String),
    /// Depends on whether a container of the pod listens on a port, as `pg_isready` does.
    IfListening {
        /// The port.
        port: u16,
        /// Exit code and output while a container listens.
        listening: (i32, String),
        /// Exit code and output otherwise.
        refused: (i32, String),
    },
}

/// Reaction of a program to SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTerm {
    /// Exits immediately with this code.
    Exit(i32),
    /// The signal's default action terminates it.
    Default,
    /// Ignores the signal, as a shell that is PID 1 does.
    Ignore,
}

impl Workloads {
    /// Returns the image of the whole reference, else of the reference without its tag.
    pub(super) fn image(&self, reference: &str) -> Option<Image> {
        let find = |name: &str| self.images.iter().find(|(image, _)| image == name);
        let (_, program) = find(reference).or_else(|| find(without_tag(reference)))?;
        Some(Image {
            reference: reference.to_owned(),
            id: format!("scripted://{program}"),
            entrypoint: vec![program.clone()],
            cmd: vec![],
            env: vec![],
            stop_signal: None,
        })
    }

    pub(super) fn unknown_image(&self, reference: &str) -> ImageError {
        let names = self.images.iter().map(|(image, _)| without_tag(image));
        let names: BTreeSet<&str> = names.collect();
        ImageError::Unknown {
            image: reference.to_owned(),
            name: without_tag(reference).to_owned(),
            available: Vec::from_iter(names).join(", "),
        }
    }

    /// Returns the workload of a container: that of the program in its command line.
    pub(super) fn find(&self, config: &ContainerConfig) -> Result<Workload, RuntimeError> {
        let argv = config.argv();
        let program = argv.first().map_or("", String::as_str);
        let name = base_name(program);
        let found = self
            .programs
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, workload)| workload.clone());
        found.ok_or_else(|| {
            RuntimeError::Start(format!(
                "exec: {program:?}: executable file not found in $PATH"
            ))
        })
    }
}

/// Returns a reference without its tag and digest. A colon before a slash separates the port of a registry.
fn without_tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Returns the last component of a path.
pub(super) fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
