//! Measures an outage: causes the fault and measures the time until it is detected, repaired and over.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;

use super::{ExerciseRun, StepError};
use crate::exercise::observe::Observations;
use crate::exercise::outage::{MeasuredOutage, Outage};
use crate::exercise::transcript::Transcript;

/// Interval between requests, in real time at any speed of the cluster's clock: shorter than every probe period of an exercise.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Timeout of a request, in real time: one without a response does not delay the next one further.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Result of a request that a measurement waits for.
#[derive(Clone, Copy)]
enum Expected {
    Status(u16),
    /// Any status but 200, or no response.
    NotOk,
}

impl Expected {
    fn matches(self, status: Option<u16>) -> bool {
        match self {
            Self::Status(expected) => status == Some(expected),
            Self::NotOk => status != Some(200),
        }
    }
}

impl ExerciseRun<'_> {
    pub(super) async fn measure_outage(
        &self,
        outage: &Outage,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&outage.app);
        let url = self.url(&outage.app, &outage.path, transcript).await?;
        let status_url = match &outage.detected_at {
            None => None,
            Some(page) => {
                let app = Some(page.app.clone());
                Some(self.url(&app, &page.path, transcript).await?)
            }
        };
        transcript.line(&format!(
            "(requesting {url} until it fails, and then until it succeeds again)"
        ))?;
        let work = self.measure(app, &url, status_url.as_deref());
        let condition = format!("the end of an outage of {app}");
        let [detected, restarted, served] = self
            .wait_with_progress(&condition, outage.timeout_seconds, work, transcript)
            .await?;
        let measured = MeasuredOutage::new(&outage.detected_by, detected, restarted, served);
        transcript.line(&format!("({measured})"))?;
        self.observer
            .update(|observations| observations.outages.push(measured));
        Ok(())
    }

    /// Returns the times from the first failed request to the detection, the restart and the first successful request.
    async fn measure(
        &self,
        app: &str,
        url: &str,
        status_url: Option<&str>,
    ) -> anyhow::Result<[Duration; 3]> {
        let restarts_before = self.observations.borrow().app(app).restarts();
        let is_restarted =
            |observations: &Observations| observations.app(app).restarts() > restarts_before;
        // The fault must be detected after the application was healthy.
        if let Some(page) = status_url {
            self.poll(page, Expected::Status(200)).await;
        }
        self.poll(url, Expected::Status(200)).await;
        self.poll(url, Expected::NotOk).await;
        let start = self.context.clock.elapsed();
        let since_start = || self.context.clock.elapsed().saturating_sub(start);
        let detected = async {
            // A restart implies the detection, which a poll can miss.
            let restarted = self.observe(is_restarted);
            match status_url {
                Some(page) => tokio::select! {
                    () = self.poll(page, Expected::Status(503)) => {}
                    restarted = restarted => restarted?,
                },
                None => tokio::select! {
                    unready = self.observe(|observations| !observations.app(app).is_each_ready()) => unready?,
                    restarted = restarted => restarted?,
                },
            }
            anyhow::Ok(since_start())
        };
        let restarted = async {
            self.observe(is_restarted).await?;
            Ok(since_start())
        };
        let served = async {
            self.poll(url, Expected::Status(200)).await;
            Ok(since_start())
        };
        let (detected, restarted, served) = tokio::try_join!(detected, restarted, served)?;
        Ok([detected, restarted, served])
    }

    /// Sends requests until the result is the expected one.
    async fn poll(&self, url: &str, expected: Expected) {
        loop {
            let response = timeout(REQUEST_TIMEOUT, self.context.http.get(url)).await;
            let response = response.ok().and_then(Result::ok);
            if expected.matches(response.map(|response| response.status().as_u16())) {
                return;
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until `is_met` returns `true` for the observations.
    async fn observe(&self, is_met: impl FnMut(&Observations) -> bool) -> anyhow::Result<()> {
        let mut observations = self.observations.clone();
        observations
            .wait_for(is_met)
            .await
            .context("the watches ended")?;
        Ok(())
    }
}
