//! Runs probes on its own clock; serves, measures and acts on what they find.
//!
//! A [`mod@source`] is read as a [`config`], which becomes a [`spec`]: targets with probes, and groups of them. The [`engine`]
//! makes each probe's [`attempt`]s and keeps what they find; [`web`] and [`metrics`] tell of it; [`reload`] takes changes over.

pub mod action;
pub mod args;
pub mod attempt;
pub mod config;
pub mod engine;
pub mod explain;
pub mod finding;
pub mod grpc;
pub mod metrics;
pub mod program;
pub mod reload;
pub mod source;
pub mod spec;
pub mod web;

use std::sync::Arc;

use anyhow::Context as _;
use http_service::{Limits, Metrics, Readiness, Server, Shutdown};
use jiff::Timestamp;
use probe::Clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use self::action::{Actions, Own};
pub use self::args::Args;
use self::attempt::Local;
use self::config::Surroundings;
use self::engine::Engine;
use self::reload::Reloader;
use self::source::Source;
use self::spec::Config;
use self::web::App;

/// Limits of the service. Groups are what the kubelet and load balancers request, too.
const LIMITS: Limits = Limits {
    health_paths: &["/livez", "/readyz", "/startupz", "/healthz", "/groups"],
    ..Limits::DEFAULT
};

/// Where `args` say that the configuration is.
#[must_use]
pub fn source(args: &Args) -> Source {
    Source {
        file: args.config.clone(),
        annotation: args.config_annotation.clone(),
        surroundings: Surroundings {
            host: args.target_host.clone(),
        },
    }
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was told to stop.
    Ended(http_service::ShutdownOutcome),
    /// An action ended it with this exit code.
    Exited(u8),
}

/// Probes and serves until told to stop. `reload` asks for the configuration to be read again.
///
/// # Errors
/// When it cannot listen, or a file that `config` names cannot be used.
pub async fn run(
    args: &Args,
    config: Config,
    shutdown: &Shutdown,
    reload: Arc<Notify>,
) -> anyhow::Result<Outcome> {
    let listen = args.service.listen;
    let server = Server::bind(listen, LIMITS).await.with_context(|| {
        format!("cannot serve: is another probe-sidecar at {listen}? --listen names another port")
    })?;
    let grpc = match args.grpc_listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.with_context(|| format!("cannot listen on {address} for gRPC"))?)
        }
    };
    let engine = Engine::new(
        Clock::new(Timestamp::now(), 1.0),
        Arc::new(Local::default()),
    );
    engine.apply(&config)?;
    let app = App {
        engine: engine.clone(),
        ready: Readiness::default(),
    };
    let metrics = Metrics::default();
    let probes = metrics::Probes {
        engine: engine.clone(),
        pod: metrics::Pod {
            name: args.pod_name.clone(),
            namespace: args.pod_namespace.clone(),
            uid: args.pod_uid.clone(),
        },
    };
    metrics.register(|registry| registry.register_collector(Box::new(probes)));
    let hands = Arc::new(Own::new(shutdown.drain.clone()));
    let actions = Actions::new(engine.clone(), hands.clone(), args.actions);
    let counts = actions.counts();
    metrics.register(|registry| {
        let help = "What actions came to: done, failed, dry_run or held";
        registry.register("probe_sidecar_actions", help, counts);
    });
    actions.apply(&config.actions);
    let reloader = Reloader::new(engine.clone(), actions, source(args), &config);
    let _reloading = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(reloader.run(reload)));
    let address = server.local_addr()?;
    tracing::info!(%address, probes = config.probes(), "listening");
    // What runs has what it needs of it: kept, it would take as much again.
    drop(config);
    let serving = server.serve(web::router(&app, &metrics), &app.ready, shutdown);
    let stopping = async {
        shutdown.drain.cancelled().await;
        engine.stop();
    };
    let (ended, (), ()) = tokio::join!(serving, stopping, serve_grpc(grpc, &app, shutdown));
    Ok(hands
        .exit_code()
        .map_or(Outcome::Ended(ended), Outcome::Exited))
}

/// Serves gRPC where it is asked for, and no longer than the grace allows.
async fn serve_grpc(listener: Option<TcpListener>, app: &App, shutdown: &Shutdown) {
    let Some(listener) = listener else {
        return;
    };
    let delay = shutdown.delay;
    let drained = shutdown.drain.clone();
    let end = async move {
        drained.cancelled().await;
        tokio::time::sleep(delay).await;
    };
    let last = async {
        shutdown.drain.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(shutdown.delay.saturating_add(shutdown.grace)) => {}
            () = shutdown.abort.cancelled() => {}
        }
    };
    tokio::select! {
        served = grpc::serve(listener, app.clone(), end) => {
            if let Err(error) = served {
                tracing::error!(%error, "gRPC is not served any more");
            }
        }
        () = last => tracing::warn!("the grace ran out: gRPC connections dropped"),
    }
}
