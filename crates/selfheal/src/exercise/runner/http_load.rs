//! Background requests of the `load` steps.

use std::convert::Infallible;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::RunContext;
use crate::exercise::observe::Observer;

/// Repeated requests to one URL.
pub(super) struct LoadSpec {
    pub(super) url: String,
    /// Expected status.
    pub(super) status: u16,
    /// Time between a response and the next request, on the cluster's clock.
    pub(super) interval: Duration,
}

/// Starts requests that a [`LoadGenerator`] sends.
pub(super) struct LoadStarter(mpsc::UnboundedSender<LoadSpec>);

impl LoadStarter {
    /// Starts requests; they end when the generator is dropped.
    pub(super) fn start(&self, spec: LoadSpec) {
        // Without a receiver the exercise is over.
        let _ = self.0.send(spec);
    }
}

/// Sends the requests of all specs concurrently and records the results.
pub(super) struct LoadGenerator<'a> {
    context: &'a RunContext<'a>,
    observer: &'a Observer,
    specs: mpsc::UnboundedReceiver<LoadSpec>,
}

impl<'a> LoadGenerator<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, observer: &'a Observer) -> (LoadStarter, Self) {
        let (sender, specs) = mpsc::unbounded_channel();
        let generator = Self {
            context,
            observer,
            specs,
        };
        (LoadStarter(sender), generator)
    }

    pub(super) async fn run(self) -> Infallible {
        let Self {
            context,
            observer,
            mut specs,
        } = self;
        let mut loads = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(spec) = specs.recv() => loads.push(generate_load(context, observer, spec)),
                Some(never) = loads.next() => match never {},
                // The starter was dropped without starting any requests.
                else => std::future::pending().await,
            }
        }
    }
}

async fn generate_load(
    context: &RunContext<'_>,
    observer: &Observer,
    spec: LoadSpec,
) -> Infallible {
    loop {
        let result = send_request(context, &spec).await;
        observer.update(|observations| {
            observations.load.requests += 1;
            observations.load.failures.extend(result.err());
        });
        context.clock.sleep(spec.interval).await;
    }
}

/// # Errors
/// Description of the failed request.
async fn send_request(context: &RunContext<'_>, spec: &LoadSpec) -> Result<(), String> {
    match context.http.get(&spec.url).await {
        Ok(response) if response.status().as_u16() == spec.status => Ok(()),
        Ok(response) => {
            let status = response.status().as_u16();
            Err(format!("{}: status {status}", spec.url))
        }
        Err(error) => Err(format!("{error:#}")),
    }
}
