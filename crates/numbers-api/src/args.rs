//! Settings, by flag and by environment.

use crate::Rule;

/// A random-number API that breaks on purpose, to try health probes on.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "numbers-api", version, after_help = EXIT_CODES)]
pub struct Args {
    /// What every service here takes.
    #[command(flatten)]
    pub service: service::Args,

    /// Break with the N-th call of /rng, which still succeeds; 0 never breaks
    #[arg(
        long,
        env = "FailAfterCallCount",
        value_name = "N",
        default_value_t = 0
    )]
    pub fail_after_call_count: u64,

    /// Put a fresh id into each error message of /rng
    #[arg(
        long, env = "UseFailureId", value_name = "BOOL", ignore_case = true,
        default_value = "false", default_missing_value = "true", num_args = 0..=1,
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub use_failure_id: bool,

    /// A fault TARGET:TRIGGER:EFFECT, for example `livez:next=3:hang`; repeatable, in the variable parted by commas
    ///
    /// Targets: rng, healthz, livez, readyz, startupz.
    /// Triggers: always, after-calls=N, after=TIME, next=N, percent=P.
    /// Effects: fail, hang, slow=TIME, crash=CODE.
    #[arg(long, env = "FAULTS", value_name = "FAULT", value_delimiter = ',')]
    pub fault: Vec<Rule>,

    /// Seed of the percentages: the same seed fails the same calls
    #[arg(long, env = "FAULT_SEED", value_name = "N", default_value_t = 0)]
    pub fault_seed: u64,

    /// Add a line to this file at each start, and log how many it has: on a volume, it shows what outlives a container
    #[arg(long, env = "STARTS_FILE", value_name = "FILE")]
    pub starts_file: Option<std::path::PathBuf>,

    /// Let faults be set over HTTP, at /faults
    #[arg(long, env = "ENABLE_FAULT_API", value_parser = clap::builder::BoolishValueParser::new())]
    pub enable_fault_api: bool,
}

const EXIT_CODES: &str = "\
Exit codes:
  0        ended on request, every request answered
  1        could not start, or the shutdown grace ran out
  2        a bad flag or variable
  CODE     a fault crash=CODE struck
  128 + N  a second signal (number N) cut the end short";
