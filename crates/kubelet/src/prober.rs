//! A prober that catches panics: a panic is counted, and the attempt's result is unknown.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::supervisor::Component;
use futures::FutureExt as _;
use probe::{Outcome, ProbeError, ProbeTarget, Prober, ResolvedHandler};

pub(super) struct SupervisedProber {
    pub(super) prober: Arc<dyn Prober>,
    pub(super) component: Component,
}

#[async_trait]
impl Prober for SupervisedProber {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        let attempt = async {
            self.component.failpoint();
            self.prober.probe(target, action, timeout).await
        };
        let attempt = AssertUnwindSafe(attempt).catch_unwind().await;
        attempt.unwrap_or_else(|panic| {
            self.component.count_panic(&*panic);
            Err(ProbeError::unknown("the prober panicked"))
        })
    }
}
