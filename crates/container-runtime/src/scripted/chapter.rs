//! Workloads of the course's chapter: the numbers API, and the database with `sleep` in its place.

use super::workload::{HttpReply, OnTerm, Route, RouteBehavior, ScriptedExec, Workload, Workloads};

/// Port of PostgreSQL.
const POSTGRES_PORT: u16 = 5432;

impl Workloads {
    /// Returns the workloads of the chapter.
    #[must_use]
    pub fn chapter() -> Self {
        let image = |reference: &str, program: &str| (reference.to_owned(), program.to_owned());
        let program = |name: &str, workload: Workload| (name.to_owned(), workload);
        let database = Workload {
            ports: vec![POSTGRES_PORT],
            ..Workload::with_pg_isready()
        };
        let shell = Workload {
            on_term: OnTerm::Ignore,
            ..Workload::with_pg_isready()
        };
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
                program("postgres", database),
                program("sleep", shell.clone()),
                program("sh", shell),
            ],
        }
    }
}

impl Workload {
    /// Returns the random-number API. Its number is always 42.
    #[must_use]
    pub fn numbers_api() -> Self {
        let route = |path: &str, behavior| Route {
            path: path.to_owned(),
            behavior,
        };
        let reply = |status, body: &str| HttpReply(status, body.to_owned());
        let health = RouteBehavior::Health {
            healthy: reply(200, "Ok"),
            unhealthy: reply(500, r#"{"message":"Unhealthy"}"#),
        };
        Self {
            ports: vec![80],
            routes: vec![
                route(
                    "/rng",
                    RouteBehavior::Counted {
                        healthy: reply(200, "42"),
                        unhealthy: reply(500, r#"{"message":"Unhealthy!"}"#),
                    },
                ),
                route("/healthz", health.clone()),
                route("/health", health),
                route("/reset", RouteBehavior::Reset(reply(200, "Ok"))),
            ],
            call_limit_variable: Some("FailAfterCallCount".to_owned()),
            on_term: OnTerm::Exit(0),
            ..Self::default()
        }
    }

    /// Returns a program whose image has PostgreSQL's tools.
    fn with_pg_isready() -> Self {
        let result = |code, text: &str| (code, format!("localhost:{POSTGRES_PORT} - {text}\n"));
        let pg_isready = ScriptedExec::IfListening {
            port: POSTGRES_PORT,
            listening: result(0, "accepting connections"),
            refused: result(2, "no response"),
        };
        Self {
            execs: vec![("pg_isready".to_owned(), pg_isready)],
            on_term: OnTerm::Exit(0),
            ..Self::default()
        }
    }
}
