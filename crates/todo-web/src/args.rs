//! The command line.

use std::path::PathBuf;
use std::time::Duration;

/// A to-do list on PostgreSQL, or on a file of its own.
///
/// It starts while its database is down, says so, and comes back with it.
#[derive(Clone, Debug, clap::Parser)]
#[command(version, about, long_about = None, after_help = AFTER)]
pub struct Args {
    /// Settings in JSON: Database:Provider, Database:ReadOnly, ConfigController:Enabled, BannerMessage, Metrics:Enabled
    #[arg(
        long,
        env = "CONFIG_FILE",
        value_name = "FILE",
        default_value = "/app/config/config.json"
    )]
    pub config: PathBuf,

    /// Secrets in JSON: ConnectionStrings:ToDoDb
    #[arg(
        long,
        env = "SECRETS_FILE",
        value_name = "FILE",
        default_value = "/app/secrets/secrets.json"
    )]
    pub secrets: PathBuf,

    /// PostgreSQL's address as a URL or keywords; overrides the files
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "CONNINFO",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// Where items are kept if no database is named
    #[arg(
        long,
        env = "SQLITE_FILE",
        value_name = "FILE",
        default_value = "todo-list.db"
    )]
    pub sqlite: PathBuf,

    /// When /readyz says yes: while the database answers, or for good once it has answered
    #[arg(
        long,
        env = "READY_POLICY",
        value_name = "POLICY",
        default_value = "strict",
        value_enum
    )]
    pub ready: Policy,

    /// How long a request may take; after that it is answered with 503
    #[arg(long, env = "REQUEST_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// How long one statement, or the wait for a connection, may take
    #[arg(long, env = "QUERY_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub query_timeout: Duration,

    /// The most connections to the database
    #[arg(long, env = "POOL_SIZE", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pool: u16,

    /// How many threads answer requests; the database works in processes of its own
    #[arg(long, env = "THREADS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// What every service here has.
    #[command(flatten)]
    pub service: http_service::Args,
}

/// When the service wants traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// While the database answers.
    Strict,
    /// Once the database has answered, even when it goes away: pages that say so are better than none.
    Degraded,
}

const AFTER: &str = "\
Any setting of the files can be overridden by an environment variable with __ for the colon, such as Database__Provider.
Exit codes: 0 ended in order, 1 could not serve or connections were dropped, 2 bad settings, 128+N ended by a second signal N.";
