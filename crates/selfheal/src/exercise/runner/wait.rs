//! Waits for conditions, with a timeout on the cluster's clock.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

use super::{Run, StepError};
use crate::exercise::observe::Seen;
use crate::exercise::step::Wait;
use crate::exercise::transcript::Transcript;

impl Run<'_> {
    pub(super) async fn wait(
        &self,
        wait: &Wait,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.line(&format!("(waiting for {wait})"))?;
        let app = self.app(&wait.app);
        let what = wait.to_string();
        let met = self.until(
            &what,
            wait.within,
            |seen| seen.app(app).meets(wait),
            transcript,
        );
        // A step that waits for a failure is not ended by it.
        if wait.waiting.is_some() {
            met.await?;
            self.expect_image_failures();
            return Ok(());
        }
        tokio::select! {
            biased;
            met = met => { met?; }
            cause = self.image_failed() => {
                transcript.clear_progress()?;
                return Err(StepError::Blocked(cause?));
            }
        }
        Ok(())
    }

    pub(super) fn timeout_error(&self, within: u64, what: &str) -> StepError {
        let messages = self.seen.borrow().waiting_messages();
        StepError::Failed(format!("waited {within} s for {what}{messages}"))
    }

    /// Waits by watch until `condition` is met, at most `within` of the cluster's seconds.
    pub(super) async fn until(
        &self,
        what: &str,
        within: u64,
        condition: impl FnMut(&Seen) -> bool + Send,
        transcript: &Transcript<'_>,
    ) -> Result<Seen, StepError> {
        let mut seen = self.seen.clone();
        let met = async {
            let seen = seen
                .wait_for(condition)
                .await
                .context("the watches ended")?;
            Ok(seen.clone())
        };
        self.wait_with_progress(what, within, met, transcript).await
    }

    /// Waits for `work`, and shows on a terminal how long it has taken.
    pub(super) async fn wait_with_progress<T>(
        &self,
        what: &str,
        within: u64,
        work: impl Future<Output = anyhow::Result<T>>,
        transcript: &Transcript<'_>,
    ) -> Result<T, StepError> {
        let clock = &self.context.clock;
        let mut work = std::pin::pin!(work);
        let mut deadline = std::pin::pin!(clock.sleep(Duration::from_secs(within)));
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let started = clock.elapsed();
        let outcome = loop {
            tokio::select! {
                biased;
                done = &mut work => break done.map_err(StepError::from),
                () = &mut deadline => break Err(self.timeout_error(within, what)),
                _ = ticks.tick() => transcript.progress(what, clock.elapsed().saturating_sub(started).as_secs())?,
            }
        };
        transcript.clear_progress()?;
        outcome
    }
}
