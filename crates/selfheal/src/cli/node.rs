//! Arguments of a node on this host, and of `selfheal up`.

use std::path::PathBuf;

/// Options of a node.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeArguments {
    /// Runs containers of an image with a program of this host; can be repeated
    #[arg(long = "image", value_name = "NAME=PROGRAM", value_parser = parse_image)]
    pub(crate) images: Vec<(String, PathBuf)>,

    /// Factor of the node's clock: at 5, a probe period of 10 s takes 2 s. Programs are not accelerated, but containers get
    /// the factor in the variable `SELFHEAL_CLOCK_SPEED`
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_speed)]
    pub(crate) speed: f64,

    /// Maximum number of pods on the node
    #[arg(long, value_name = "N", default_value_t = node::DEFAULT_MAX_PODS)]
    pub(crate) max_pods: u32,
}

/// Arguments of `selfheal up`.
#[derive(Debug, clap::Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    pub(crate) node: NodeArguments,

    /// Kubeconfig to write; deleted when the node stops. Only its owner can read it. Default: a file of its own for each
    /// node, in selfheal/ in `$XDG_RUNTIME_DIR`, else in `$XDG_STATE_HOME` or ~/.local/state, else in the temporary directory
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Port of the API on the loopback address; 0 selects a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub(crate) port: u16,
}

fn parse_image(text: &str) -> Result<(String, PathBuf), String> {
    let (name, program) = text
        .split_once('=')
        .filter(|(name, program)| !name.is_empty() && !program.is_empty())
        .ok_or("expected NAME=PROGRAM, for example nginx=/usr/sbin/nginx")?;
    Ok((name.to_owned(), super::parse_program(program)?))
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    speed
        .filter(|speed| (0.1..=100.0).contains(speed))
        .ok_or_else(|| "expected a number from 0.1 to 100".to_owned())
}
