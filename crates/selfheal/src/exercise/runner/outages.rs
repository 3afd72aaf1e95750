//! Measures an outage: breaks the service, and takes the time until it is found, mended and over.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::timeout;

use super::{Run, StepError};
use crate::exercise::observe::Seen;
use crate::exercise::outage::{Measured, Outage};
use crate::exercise::transcript::Transcript;

/// How often to ask, in real time whatever the cluster's pace: no probe here is more frequent.
const PERIOD: Duration = Duration::from_millis(50);

/// What an answer may take, in real time: one that does not come must not keep from asking again.
const PATIENCE: Duration = Duration::from_secs(2);

impl Run<'_> {
    pub(super) async fn outage(
        &self,
        outage: &Outage,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&outage.app);
        let url = self.url(&outage.app, &outage.path, transcript).await?;
        let page = match &outage.seen_at {
            None => None,
            Some(seen_at) => {
                let of = Some(seen_at.app.clone());
                Some(self.url(&of, &seen_at.path, transcript).await?)
            }
        };
        transcript.line(&format!(
            "(requesting {url} until it fails, and then until it succeeds again)"
        ))?;
        let before = self.seen.borrow().app(app).restarts();
        let work = async {
            // The fault must be detected after the application was healthy.
            if let Some(page) = &page {
                self.answered(page, |status| status == Some(200)).await;
            }
            self.answered(&url, |status| status == Some(200)).await;
            self.answered(&url, |status| status != Some(200)).await;
            let begin = self.context.clock.elapsed();
            let detected = async {
                // A restart implies the detection, which a poll can miss.
                let restarted = self.observed(|seen| seen.app(app).restarts() > before);
                match &page {
                    Some(page) => tokio::select! {
                        () = self.answered(page, |status| status == Some(503)) => {}
                        restarted = restarted => restarted?,
                    },
                    None => tokio::select! {
                        unready = self.observed(|seen| !seen.app(app).all_ready()) => unready?,
                        restarted = restarted => restarted?,
                    },
                }
                self.since(begin)
            };
            let restarted = async {
                self.observed(|seen| seen.app(app).restarts() > before)
                    .await?;
                self.since(begin)
            };
            let served = async {
                self.answered(&url, |status| status == Some(200)).await;
                self.since(begin)
            };
            tokio::try_join!(detected, restarted, served)
        };
        let what = format!("the end of an outage of {app}");
        let (detected, restarted, served) = self
            .wait_with_progress(&what, outage.within, work, transcript)
            .await?;
        let measured = Measured::new(&outage.found_by, detected, restarted, served);
        transcript.line(&format!("({measured})"))?;
        self.observer.note(|seen| seen.outages.push(measured));
        Ok(())
    }

    fn since(&self, begin: Duration) -> anyhow::Result<Duration> {
        Ok(self.context.clock.elapsed().saturating_sub(begin))
    }

    /// Asks until the answer's status, or none, is one that was waited for.
    async fn answered(&self, url: &str, wanted: impl Fn(Option<u16>) -> bool) {
        loop {
            let answer = timeout(PATIENCE, self.context.caller.get(url)).await;
            let answer = answer.ok().and_then(Result::ok);
            if wanted(answer.map(|answer| answer.status().as_u16())) {
                return;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn observed(&self, holds: impl FnMut(&Seen) -> bool) -> anyhow::Result<()> {
        let mut seen = self.seen.clone();
        seen.wait_for(holds).await.context("the watches ended")?;
        Ok(())
    }
}
