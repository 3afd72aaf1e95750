//! Settings from flags and environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::action::Mode;

/// Runs probes on its own schedule; serves, measures and acts on their results.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "probe-sidecar",
    version,
    after_help = EXIT_CODES,
    mut_arg("listen", |listen| listen.default_value("0.0.0.0:8086")),
)]
pub struct Args {
    /// Configuration file (YAML): a file, a mounted ConfigMap, or annotations mounted by the downward API
    #[arg(
        long,
        env = "PROBES_FILE",
        global = true,
        value_name = "FILE",
        default_value = "/etc/probe-sidecar/probes.yaml"
    )]
    pub config: PathBuf,

    /// Annotation that holds the configuration, if the file contains the annotations of the pod
    #[arg(long, env = "PROBES_ANNOTATION", global = true, value_name = "KEY")]
    pub config_annotation: Option<String>,

    /// Check and explain the configuration, with worst-case detection times, then exit
    #[arg(long)]
    pub check_config: bool,

    /// Output format of --check-config and check
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        value_enum
    )]
    pub output: Output,

    /// Address and port of the gRPC health service (off by default)
    #[arg(long, env = "GRPC_LISTEN", value_name = "ADDR:PORT")]
    pub grpc_listen: Option<SocketAddr>,

    /// Execution mode of the configured actions
    #[arg(
        long,
        env = "ACTIONS",
        value_name = "MODE",
        default_value = "off",
        value_enum
    )]
    pub actions: Mode,

    /// File that keeps the budgets of actions across restarts of the sidecar
    #[arg(long, env = "STATE_FILE", value_name = "FILE")]
    pub state_file: Option<PathBuf>,

    /// Default host of probes
    #[arg(
        long,
        env = "TARGET_HOST",
        global = true,
        value_name = "HOST",
        default_value = "127.0.0.1"
    )]
    pub target_host: String,

    /// The pod's name, for metrics
    #[arg(long, env = "POD_NAME", value_name = "NAME", default_value = "")]
    pub pod_name: String,

    /// The pod's namespace, for metrics
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAME", default_value = "")]
    pub pod_namespace: String,

    /// The pod's UID, for metrics
    #[arg(long, env = "POD_UID", value_name = "UID", default_value = "")]
    pub pod_uid: String,

    /// Subcommand; without one the sidecar runs.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Flags shared by all services.
    #[command(flatten)]
    pub service: http_service::Args,
}

/// Subcommands of the program.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Run probes once and exit: 0 if all succeed, 1 if one fails
    Check {
        /// Probes: livez/TARGET, or all of the pod: livez. All probes if there is none
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
}

/// Output format of `--check-config` and `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// Plain text.
    Text,
    /// One JSON object.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0        shutdown on request, the configuration is valid, or all checks succeeded
  1        start failed, the shutdown grace period expired, or a check failed
  2        invalid flag, variable or configuration
  CODE     an exit action ran
  128 + N  a second signal (number N) interrupted the shutdown";
