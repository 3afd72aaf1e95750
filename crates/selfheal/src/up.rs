//! `selfheal up`: a node that serves its API to whoever has the kubeconfig.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::Context as _;
use node::serve::{Credentials, serve};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::UpArguments;
use crate::embedded::Embedded;
use crate::exit::Exit;

/// Serves until `stop`.
pub(crate) async fn run(
    arguments: &UpArguments,
    folder: Option<&Path>,
    stop: &CancellationToken,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let address = (Ipv4Addr::LOCALHOST, arguments.port);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("listening at port {}", arguments.port))?;
    let address = listener.local_addr()?;
    let embedded = Embedded::start(&arguments.node, folder, stop.child_token()).await?;
    let credentials = Credentials::generate().context("making a certificate")?;
    let file = &arguments.kubeconfig;
    // The file is there already, readable to nobody else: its text follows.
    std::fs::write(file, credentials.kubeconfig(address))
        .with_context(|| format!("writing {}", file.display()))?;
    let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
    let took = began.elapsed().as_millis();
    let version = node::node::VERSION;
    let mut out = io::stdout();
    writeln!(
        out,
        "A node is ready after {took} ms: Kubernetes {version} at https://{address}"
    )?;
    writeln!(
        out,
        "\n  export KUBECONFIG={}\n  kubectl get nodes\n",
        file.display()
    )?;
    writeln!(out, "Ctrl-C ends it, with everything that runs on it.")?;
    out.flush()?;
    serve(embedded.node.api(), listener, &credentials, stop.clone()).await?;
    // Whoever read this may be gone by now, which is no failure.
    let _ = writeln!(out, "The node has ended.");
    Ok(Exit::Held)
}
