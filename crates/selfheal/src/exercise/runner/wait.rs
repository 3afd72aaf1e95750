//! Waits for conditions, with a timeout on the cluster's clock.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::MissedTickBehavior;

use super::{ExerciseRun, StepError};
use crate::exercise::observe::Observations;
use crate::exercise::step::Wait;
use crate::exercise::transcript::Transcript;

/// Interval between progress lines, in real time.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

impl ExerciseRun<'_> {
    pub(super) async fn wait(
        &self,
        wait: &Wait,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.line(&format!("(waiting for {wait})"))?;
        let app = self.app(&wait.app);
        let condition = wait.to_string();
        let satisfied = self.wait_until(
            &condition,
            wait.timeout_seconds,
            |observations| observations.app(app).satisfies(wait),
            transcript,
        );
        // A wait for a failure does not end with an error at that failure.
        if wait.waiting.is_some() {
            satisfied.await?;
            self.expect_image_failures();
            return Ok(());
        }
        tokio::select! {
            biased;
            result = satisfied => { result?; }
            cause = self.wait_for_image_failure() => {
                transcript.clear_progress()?;
                return Err(StepError::Blocked(cause?));
            }
        }
        Ok(())
    }

    fn timeout_error(&self, timeout_seconds: u64, condition: &str) -> StepError {
        let messages = self.observations.borrow().waiting_messages();
        StepError::Failed(format!(
            "timed out after {timeout_seconds} s waiting for {condition}{messages}"
        ))
    }

    /// Waits until `is_met` returns `true` for the observations; the timeout is on the cluster's clock.
    pub(super) async fn wait_until(
        &self,
        condition: &str,
        timeout_seconds: u64,
        is_met: impl FnMut(&Observations) -> bool + Send,
        transcript: &Transcript<'_>,
    ) -> Result<Observations, StepError> {
        let mut receiver = self.observations.clone();
        let met = async {
            let observations = receiver
                .wait_for(is_met)
                .await
                .context("the watches ended")?;
            Ok(observations.clone())
        };
        self.wait_with_progress(condition, timeout_seconds, met, transcript)
            .await
    }

    /// Waits for `work` and prints the time so far on a terminal; the timeout is on the cluster's clock.
    pub(super) async fn wait_with_progress<T>(
        &self,
        condition: &str,
        timeout_seconds: u64,
        work: impl Future<Output = anyhow::Result<T>>,
        transcript: &Transcript<'_>,
    ) -> Result<T, StepError> {
        let clock = &self.context.clock;
        let mut work = std::pin::pin!(work);
        let mut deadline = std::pin::pin!(clock.sleep(Duration::from_secs(timeout_seconds)));
        let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let started = clock.elapsed();
        let outcome = loop {
            tokio::select! {
                biased;
                result = &mut work => break result.map_err(StepError::from),
                () = &mut deadline => break Err(self.timeout_error(timeout_seconds, condition)),
                _ = ticks.tick() => {
                    let elapsed = clock.elapsed().saturating_sub(started);
                    transcript.progress(condition, elapsed.as_secs())?;
                }
            }
        };
        transcript.clear_progress()?;
        outcome
    }
}
