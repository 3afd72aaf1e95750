//! Settings, by flag and by environment.

use std::time::Duration;

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

    /// Time that the start takes: until it is over, /rng and all health endpoints but /livez answer 503
    #[arg(long, env = "STARTUP_DELAY", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub startup_delay: Duration,

    /// Factor of the cluster's clock, which divides --startup-delay; set by a selfheal node with --speed
    #[arg(long, env = "SELFHEAL_CLOCK_SPEED", value_name = "N", default_value = "1", value_parser = parse_speed)]
    pub clock_speed: f64,

    /// Let faults be set over HTTP, at /faults
    #[arg(long, env = "ENABLE_FAULT_API", value_parser = clap::builder::BoolishValueParser::new())]
    pub enable_fault_api: bool,
}

impl Args {
    /// Real time that the start takes.
    #[must_use]
    pub fn startup_delay(&self) -> Duration {
        self.startup_delay.div_f64(self.clock_speed)
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    speed
        .filter(|speed| (0.01..=10_000.0).contains(speed))
        .ok_or_else(|| "expected a number from 0.01 to 10000".to_owned())
}

const EXIT_CODES: &str = "\
Exit codes:
  0        ended on request, every request answered
  1        could not start, or the shutdown grace ran out
  2        a bad flag or variable
  CODE     a fault crash=CODE struck
  128 + N  a second signal (number N) cut the end short";
