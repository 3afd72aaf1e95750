//! Settings, by flag and by environment.

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
}

const EXIT_CODES: &str = "\
Exit codes:
  0        ended on request, every request answered
  1        could not start, or the shutdown grace ran out
  2        a bad flag or variable
  128 + N  a second signal (number N) cut the end short";
