//! What a scripted container does, as data.

use std::time::Duration;

use crate::{ContainerConfig, Image, RuntimeError};

/// Every workload that the runtime knows.
#[derive(Clone, Debug, Default)]
pub struct Workloads {
    /// Image references and the program each one runs.
    pub images: Vec<(String, String)>,
    /// Programs and what they do.
    pub programs: Vec<(String, Workload)>,
}

/// What a program does.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Ports it listens on.
    pub ports: Vec<u16>,
    /// What it answers, by path; anything else is 404.
    pub routes: Vec<Route>,
    /// The variable that holds how many counted calls succeed; unset or 0 is no limit.
    pub limit_from: Option<String>,
    /// Commands that can be run beside it.
    pub execs: Vec<(String, Exec)>,
    /// How it takes TERM.
    pub term: Term,
    /// After how long it ends by itself, and how.
    pub exit_after: Option<(Duration, i32)>,
}

impl Default for Workload {
    /// Listens nowhere and dies of TERM.
    fn default() -> Self {
        Self {
            ports: vec![],
            routes: vec![],
            limit_from: None,
            execs: vec![],
            term: Term::Dies,
            exit_after: None,
        }
    }
}

/// An answer at a path.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path, without a query.
    pub path: String,
    /// What it answers.
    pub answer: Answer,
}

/// How a path answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Counts the call; `broken` once the limit was used up.
    Counted {
        /// While calls are left.
        well: Reply,
        /// After the last one.
        broken: Reply,
    },
    /// Says whether calls are left, and counts nothing.
    Health {
        /// While calls are left.
        well: Reply,
        /// After the last one.
        broken: Reply,
    },
    /// Forgets the count.
    Reset(Reply),
}

/// Status and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(pub u16, pub String);

/// How a command run beside the workload ends.
#[derive(Clone, Debug)]
pub enum Exec {
    /// Always alike: exit code and output.
    Fixed(i32, String),
    /// By whether something in the pod listens at a port: `pg_isready` and its like.
    IfListening {
        /// The port.
        port: u16,
        /// Exit code and output while something does.
        yes: (i32, String),
        /// And while nothing does.
        no: (i32, String),
    },
}

/// How a program takes TERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// Ends by itself with this code, at once.
    Exit(i32),
    /// The signal ends it.
    Dies,
    /// Not at all, as a shell that is the first process of its namespace.
    Ignored,
}

impl Workloads {
    /// The workloads of the chapter: the numbers API, the database, and `sleep` in its place.
    #[must_use]
    pub fn chapter() -> Self {
        let image = |reference: &str, program: &str| (reference.to_owned(), program.to_owned());
        let program = |name: &str, workload: Workload| (name.to_owned(), workload);
        Self {
            images: vec![
                image("kiamol/ch03-numbers-api", "numbers-api"),
                image("numbers-api", "numbers-api"),
                image(
                    concat!("localhost/selfheal/numbers-api:", env!("CARGO_PKG_VERSION")),
                    "numbers-api",
                ),
                image("postgres", "postgres"),
            ],
            programs: vec![
                program("numbers-api", Workload::numbers_api()),
                program(
                    "postgres",
                    Workload {
                        ports: vec![5432],
                        ..Workload::database()
                    },
                ),
                program(
                    "sleep",
                    Workload {
                        term: Term::Ignored,
                        ..Workload::database()
                    },
                ),
                program(
                    "sh",
                    Workload {
                        term: Term::Ignored,
                        ..Workload::database()
                    },
                ),
            ],
        }
    }

    /// The image that `reference` names: by the whole reference, else without its tag.
    pub(super) fn image(&self, reference: &str) -> Option<Image> {
        let find = |name: &str| self.images.iter().find(|(image, _)| image == name);
        let (_, program) = find(reference).or_else(|| find(without_tag(reference)))?;
        Some(Image {
            reference: reference.to_owned(),
            id: format!("scripted://{program}"),
            entrypoint: vec![program.clone()],
            env: vec![],
            stop_signal: None,
        })
    }

    /// What a container does: the program of its command, else its image's.
    pub(super) fn find(&self, config: &ContainerConfig) -> Result<Workload, RuntimeError> {
        let program = config
            .command
            .first()
            .or(config.image.entrypoint.first())
            .map_or("", String::as_str);
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

impl Workload {
    /// The random-number API. Its number is always the same one.
    #[must_use]
    pub fn numbers_api() -> Self {
        let route = |path: &str, answer| Route {
            path: path.to_owned(),
            answer,
        };
        let reply = |status, body: &str| Reply(status, body.to_owned());
        let health = Answer::Health {
            well: reply(200, "Ok"),
            broken: reply(500, r#"{"message":"Unhealthy"}"#),
        };
        Self {
            ports: vec![80],
            routes: vec![
                route(
                    "/rng",
                    Answer::Counted {
                        well: reply(200, "42"),
                        broken: reply(500, r#"{"message":"Unhealthy!"}"#),
                    },
                ),
                route("/healthz", health.clone()),
                route("/health", health),
                route("/reset", Answer::Reset(reply(200, "Ok"))),
            ],
            limit_from: Some("FailAfterCallCount".to_owned()),
            term: Term::Exit(0),
            ..Self::default()
        }
    }

    /// A container with PostgreSQL's tools in it, whatever it runs.
    fn database() -> Self {
        let said = |code, text: &str| (code, format!("localhost:5432 - {text}\n"));
        let ready = Exec::IfListening {
            port: 5432,
            yes: said(0, "accepting connections"),
            no: said(2, "no response"),
        };
        Self {
            execs: vec![("pg_isready".to_owned(), ready)],
            term: Term::Exit(0),
            ..Self::default()
        }
    }
}

/// A reference without its tag or digest; a colon before a slash belongs to a registry's port.
fn without_tag(reference: &str) -> &str {
    let name = reference.split('@').next().unwrap_or(reference);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// The last part of a path.
pub(super) fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
