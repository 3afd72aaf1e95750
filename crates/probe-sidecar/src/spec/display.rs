//! Text of the configuration for logs and `--check-config`.

use std::fmt;

use super::{ActionKind, Health, Member, Process, Require, endpoint_name};

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the process named {name}"),
            Self::Executable(path) => write!(f, "the process of {}", path.display()),
            Self::Port(port) => write!(f, "the process that listens on port {port}"),
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal {
                name,
                process,
                kill_after,
                ..
            } => {
                write!(f, "{name} to {process}")?;
                match kill_after {
                    Some(after) => write!(f, ", then SIGKILL after {after:?}"),
                    None => Ok(()),
                }
            }
            Self::Exit(code) => write!(f, "exit with {code}"),
            Self::Exec { command, .. } => write!(f, "run {command:?}"),
            // The query may contain a secret.
            Self::Webhook { url, .. } => {
                write!(f, "POST to {}", url.split('?').next().unwrap_or_default())
            }
            Self::WriteFile { path, .. } => write!(f, "write {}", path.display()),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe { target, kind } => write!(f, "{}/{target}", endpoint_name(*kind)),
            Self::Group(name) => write!(f, "groups/{name}"),
        }
    }
}

impl fmt::Display for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Any => f.write_str("any"),
            Self::AtLeast(min) => write!(f, "at least {min}"),
        }
    }
}
