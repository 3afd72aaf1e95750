//! Runs probes on its own schedule; serves, measures and acts on their results.
//!
//! A [`mod@source`] is parsed by [`config`] into a [`spec`]: targets with probes, groups and actions. The [`engine`] runs
//! each probe's [`attempt`]s and keeps the results; [`web`], [`grpc`] and [`metrics`] serve them; [`action`] runs actions;
//! [`reload`] applies configuration changes.

pub mod action;
pub mod args;
pub mod attempt;
pub mod check;
pub mod config;
pub mod engine;
pub mod explain;
pub mod grpc;
pub mod metrics;
pub mod outcome;
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

use self::action::{Actions, LocalExecutor, StateFile};
pub use self::args::Args;
use self::attempt::LocalRunner;
use self::config::ParseOptions;
use self::engine::Engine;
use self::reload::Reloader;
use self::source::Source;
use self::spec::Config;
use self::web::AppState;

/// Limits of the HTTP service. The kubelet and load balancers request groups, too.
const LIMITS: Limits = Limits {
    health_paths: &["/livez", "/readyz", "/startupz", "/healthz", "/groups"],
    ..Limits::DEFAULT
};

/// Returns the source of the configuration.
#[must_use]
pub fn source(args: &Args) -> Source {
    Source {
        file: args.config.clone(),
        annotation: args.config_annotation.clone(),
        options: ParseOptions {
            host: args.target_host.clone(),
            check_files: true,
        },
    }
}

/// Reason for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// A shutdown was requested.
    Shutdown(http_service::ShutdownOutcome),
    /// An `exit` action requested this exit code.
    ActionExit(u8),
}

/// Probes and serves until `stop` requests the shutdown. `reload` triggers a reload of the configuration.
///
/// # Errors
/// Fails if a port cannot be bound, or if a file that `config` names cannot be used.
pub async fn run(
    args: &Args,
    config: Config,
    shutdown: &Shutdown,
    reload: Arc<Notify>,
) -> anyhow::Result<ExitReason> {
    let listen = args.service.listen;
    let server = Server::bind(listen, LIMITS).await.with_context(|| {
        format!("cannot listen on {listen}: another probe-sidecar may use the port; choose another one with --listen")
    })?;
    let grpc = match args.grpc_listen {
        None => None,
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            Some(listener.with_context(|| {
                format!(
                    "cannot listen on {address} for gRPC: choose another port with --grpc-listen"
                )
            })?)
        }
    };
    let state_file = args.state_file.as_deref().map(|path| {
        let opened = StateFile::open(path);
        opened.with_context(|| format!("cannot use the state file {}", path.display()))
    });
    let state_file = state_file.transpose()?;
    let engine = Engine::new(
        Clock::new(Timestamp::now(), 1.0),
        Arc::new(LocalRunner::default()),
    );
    engine.apply(&config)?;
    let app = AppState {
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
    let executor = Arc::new(LocalExecutor::new(shutdown.drain.clone()));
    let actions = Actions::new(engine.clone(), executor.clone(), args.actions, state_file);
    let counts = actions.counts();
    metrics.register(|registry| {
        let help = "Total number of action runs by outcome (executed, failed, dry_run, throttled)";
        registry.register("probe_sidecar_actions", help, counts);
    });
    actions.apply(&config.actions);
    let mut reloads = metrics::Reloads::default();
    metrics.register(|registry| reloads = metrics::Reloads::register(registry));
    reloads.record(true, Timestamp::now());
    let reloader = Reloader::new(engine.clone(), actions, source(args), &config, reloads);
    let _reloading = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(reloader.run(reload)));
    let address = server.local_addr()?;
    tracing::info!(%address, probes = config.probe_count(), "listening");
    // The running tasks hold their own copies; drop the parsed configuration to free its memory.
    drop(config);
    let serving = server.serve(web::router(&app, &metrics), &app.ready, shutdown);
    let stopping = async {
        shutdown.drain.cancelled().await;
        engine.stop();
    };
    let (ended, (), ()) = tokio::join!(serving, stopping, serve_grpc(grpc, &app, shutdown));
    Ok(executor
        .exit_code()
        .map_or(ExitReason::Shutdown(ended), ExitReason::ActionExit))
}

/// Serves gRPC if there is a listener, at most until the end of the shutdown grace period.
async fn serve_grpc(listener: Option<TcpListener>, app: &AppState, shutdown: &Shutdown) {
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
                tracing::error!(%error, "gRPC server stopped");
            }
        }
        () = last => tracing::warn!("shutdown grace period expired: gRPC connections dropped"),
    }
}
