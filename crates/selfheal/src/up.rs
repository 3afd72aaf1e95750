//! `selfheal up`: a node that serves its API to the holder of its kubeconfig.

#[cfg(target_os = "linux")]
pub(crate) mod kubeconfig;
mod warnings;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use apiserver::serve::{Credentials, serve};
use jiff::Timestamp;
use probe::Clock;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::UpArguments;
use crate::embedded::Embedded;
use crate::exit::Exit;

/// Real time for which a fast clock stays behind real time: a faster clock starts at an earlier time.
const FAST_CLOCK_HORIZON: Duration = Duration::from_secs(8 * 3600);

/// Starts a node and serves its API until `stop`.
pub(crate) async fn run(
    arguments: &UpArguments,
    dir: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let address = (Ipv4Addr::LOCALHOST, arguments.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("--port {}: cannot listen", arguments.port))?;
    let address = listener.local_addr()?;
    let speed = arguments.node.speed;
    let clock = Clock::never_ahead(Timestamp::now(), speed, FAST_CLOCK_HORIZON);
    let embedded = Embedded::start(&arguments.node, clock, dir, stop.child_token()).await?;
    let credentials = Credentials::generate().context("generating a certificate")?;
    let file = arguments.kubeconfig.as_deref();
    let file = file.context("the process outside the namespaces has not created a kubeconfig")?;
    // The file exists already, readable by its owner only.
    std::fs::write(file, credentials.kubeconfig(address))
        .with_context(|| format!("--kubeconfig {}: cannot write", file.display()))?;
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let startup_millis = started.elapsed().as_millis();
    let mut out = io::stdout();
    print_instructions(
        &mut out,
        &file,
        &format!("https://{address}"),
        startup_millis,
    )?;
    if let Some(warning) = warnings::clock_warning(speed) {
        writeln!(io::stderr(), "{warning}")?;
    }
    let _watch = warnings::watch_load_balancers(embedded.node.client());
    serve(embedded.node.api(), listener, &credentials, stop.clone()).await?;
    // The terminal may be closed, which is not a failure.
    let _ = writeln!(out, "The node has stopped.");
    Ok(Exit::Passed)
}

fn print_instructions(
    out: &mut dyn Write,
    file: &Path,
    url: &str,
    startup_millis: u128,
) -> anyhow::Result<()> {
    let version = component_helpers::VERSION;
    let quoted = file.display().to_string();
    let quoted = shlex::try_quote(&quoted).context("the path of the kubeconfig has a NUL byte")?;
    writeln!(
        out,
        "A node is ready after {startup_millis} ms: Kubernetes {version} at {url}"
    )?;
    writeln!(out, "\n  export KUBECONFIG={quoted}\n  kubectl get nodes\n")?;
    writeln!(out, "Ctrl-C stops it, with everything that runs on it.")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_export_is_quoted_for_a_shell() {
        for (file, quoted) in [
            ("/tmp/a/selfheal.kubeconfig", "/tmp/a/selfheal.kubeconfig"),
            ("/tmp/my class/k", "'/tmp/my class/k'"),
            ("/tmp/it's/k", "\"/tmp/it's/k\""),
        ] {
            let mut out = Vec::new();
            print_instructions(&mut out, Path::new(file), "https://127.0.0.1:1", 5).unwrap();
            let printed = String::from_utf8(out).unwrap();
            let line = format!("  export KUBECONFIG={quoted}\n");
            assert!(printed.contains(&line), "{printed}");
        }
    }
}
