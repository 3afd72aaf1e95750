//! Flags and environment variables.

use std::time::Duration;

use crate::Rule;

/// Random-number API that fails on purpose, to test health probes with
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "numbers-api", version, after_help = EXIT_CODES)]
pub struct Args {
    /// Flags of every service.
    #[command(flatten)]
    pub service: http_service::Args,

    /// Break with the N-th call of /rng, which still succeeds; 0: never
    #[arg(
        long,
        env = "FailAfterCallCount",
        value_name = "N",
        default_value_t = 0
    )]
    pub fail_after_call_count: u64,

    /// Put a new id into each error message of /rng
    #[arg(
        long, env = "UseFailureId", value_name = "BOOL", ignore_case = true,
        default_value = "false", default_missing_value = "true", num_args = 0..=1,
        value_parser = clap::builder::BoolishValueParser::new(),
    )]
    pub use_failure_id: bool,

    /// A fault TARGET:TRIGGER:EFFECT, for example `livez:next=3:hang`; repeatable, in the variable separated by commas
    ///
    /// Targets: rng, healthz, livez, readyz, startupz.
    /// Triggers: always, after-calls=N, after=TIME, next=N, percent=P.
    /// Effects: fail, hang, slow=TIME, crash=CODE.
    #[arg(long, env = "FAULTS", value_name = "FAULT", value_delimiter = ',')]
    pub fault: Vec<Rule>,

    /// Seed of percent=P; with the same seed the same calls fail
    #[arg(long, env = "FAULT_SEED", value_name = "N", default_value_t = 0)]
    pub fault_seed: u64,

    /// Append a line to this file at each start and log their number; on a volume the file outlives the container
    #[arg(long, env = "STARTS_FILE", value_name = "FILE")]
    pub starts_file: Option<std::path::PathBuf>,

    /// Duration of the start, during which /rng and all health endpoints but /livez respond with 503
    #[arg(long, env = "STARTUP_DELAY", value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub startup_delay: Duration,

    /// Factor of the cluster's clock, which divides --startup-delay; set by a selfheal node with --speed
    #[arg(long, env = "SELFHEAL_CLOCK_SPEED", value_name = "N", default_value = "1", value_parser = parse_speed)]
    pub clock_speed: f64,

    /// Allow faults to be set over HTTP, at /faults and on the page
    #[arg(long, env = "ENABLE_FAULT_API", value_parser = clap::builder::BoolishValueParser::new())]
    pub enable_fault_api: bool,
}

impl Args {
    /// Returns the real duration of the start.
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
  0        stopped by a signal, every request answered
  1        start failed, or the shutdown grace expired
  2        invalid flag or variable
  CODE     a fault crash=CODE was injected
  128 + N  aborted by a second signal (number N)";
