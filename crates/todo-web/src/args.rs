//! Command line.

use std::path::PathBuf;
use std::time::Duration;

/// To-do list on PostgreSQL or in an SQLite file
///
/// The service starts without its database, reports that, and recovers with it.
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

    /// Connection string of PostgreSQL, as a URL or keywords; overrides the files
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "CONNINFO",
        hide_env_values = true
    )]
    pub database: Option<String>,

    /// SQLite file for items if no database is configured
    #[arg(
        long,
        env = "SQLITE_FILE",
        value_name = "FILE",
        default_value = "todo-list.db"
    )]
    pub sqlite: PathBuf,

    /// Condition of /readyz: the database is available now, or has been available once
    #[arg(
        long,
        env = "READY_POLICY",
        value_name = "POLICY",
        default_value = "strict",
        value_enum
    )]
    pub ready: Policy,

    /// Maximum time for a request; after it the response is 503
    #[arg(long, env = "REQUEST_TIMEOUT", value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub request_timeout: Duration,

    /// Maximum time for a statement, and for a connection
    #[arg(long, env = "QUERY_TIMEOUT", value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    pub query_timeout: Duration,

    /// Maximum number of connections to the database
    #[arg(long, env = "POOL_SIZE", value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub pool: u16,

    /// Number of threads that serve requests; the database has processes of its own
    #[arg(long, env = "THREADS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,

    /// Path prefix of all links, if a proxy removes it from requests; a proxy's X-Forwarded-Prefix overrides it
    #[arg(long, env = "PATH_PREFIX", value_name = "PATH", default_value = "", value_parser = crate::web::parse_prefix)]
    pub path_prefix: String,

    /// Flags of every service.
    #[command(flatten)]
    pub service: http_service::Args,
}

/// Condition of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// The database is available.
    Strict,
    /// The database has been available once: pages that report the fault are better than none.
    Degraded,
}

const AFTER: &str = "\
Environment variables override settings of the files, with __ in place of the colon, such as Database__Provider.
Exit codes: 0 graceful shutdown, 1 start failed or open connections closed, 2 invalid settings, 128+N aborted by a second signal N.";
