//! Settings, by flag and by environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::action::Mode;

/// Runs probes on its own clock; serves, measures and acts on what they find.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    name = "probe-sidecar",
    version,
    after_help = EXIT_CODES,
    mut_arg("listen", |listen| listen.default_value("0.0.0.0:8086")),
)]
pub struct Args {
    /// The probes, in YAML: a file, a mounted ConfigMap, or annotations mounted by the downward API
    #[arg(
        long,
        env = "PROBES_FILE",
        value_name = "FILE",
        default_value = "/etc/probe-sidecar/probes.yaml"
    )]
    pub config: PathBuf,

    /// The annotation that holds the probes, where the file holds all annotations of the pod
    #[arg(long, env = "PROBES_ANNOTATION", value_name = "KEY")]
    pub config_annotation: Option<String>,

    /// Explain the probes and their worst-case detection times, and end
    #[arg(long)]
    pub check_config: bool,

    /// How --check-config says it
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub output: Output,

    /// Address and port of the gRPC health service; without it there is none
    #[arg(long, env = "GRPC_LISTEN", value_name = "ADDR:PORT")]
    pub grpc_listen: Option<SocketAddr>,

    /// Whether the configuration's actions are done
    #[arg(
        long,
        env = "ACTIONS",
        value_name = "MODE",
        default_value = "off",
        value_enum
    )]
    pub actions: Mode,

    /// Where probes go that name no host
    #[arg(
        long,
        env = "TARGET_HOST",
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

    /// What every service here takes.
    #[command(flatten)]
    pub service: http_service::Args,
}

/// How an explanation looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

const EXIT_CODES: &str = "\
Exit codes:
  0        ended on request, or the configuration is in order
  1        could not start, or the shutdown grace ran out
  2        a bad flag, variable or configuration
  CODE     an action exit struck
  128 + N  a second signal (number N) cut the end short";
