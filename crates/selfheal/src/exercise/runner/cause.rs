//! Known causes for which a wait cannot succeed. A wait ends as soon as one is observed.

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::time::Duration;

use anyhow::Context as _;

use super::Run;
use crate::exercise::observe::Seen;

/// Reasons of a waiting container whose image can never be resolved.
const INVALID_IMAGE: &str = "InvalidImageName";
const PULL_FAILED: &str = "ErrImagePull";
const PULL_BACK_OFF: &str = "ImagePullBackOff";

/// How long a service may be without its load balancer after a failure, in real time. The listener of a service that was
/// just deleted can still be open at the first attempt.
const LOAD_BALANCER_GRACE: Duration = Duration::from_secs(2);

/// Returns the first pod that cannot start because of its image. Pods of `ignored` UIDs are left out.
pub(super) fn image_failure(
    seen: &Seen,
    ignored: &BTreeSet<String>,
    is_final: bool,
) -> Option<String> {
    let pods = seen.pods().filter(|(uid, _)| !ignored.contains(*uid));
    let mut failures = pods.filter_map(|(_, pod)| {
        let reason = pod.waiting.as_deref()?;
        let is_known = reason == INVALID_IMAGE
            || reason == PULL_BACK_OFF
            || (is_final && reason == PULL_FAILED);
        let message = pod.message.as_deref().unwrap_or(reason);
        is_known.then(|| format!("pod {} cannot start: {message}", pod.name))
    });
    failures.next()
}

/// UIDs of the pods whose image failed.
pub(super) fn failed_pods(seen: &Seen) -> BTreeSet<String> {
    let reasons = [INVALID_IMAGE, PULL_FAILED, PULL_BACK_OFF];
    let is_failed = |reason: &Option<String>| {
        let reason = reason.as_deref();
        reason.is_some_and(|reason| reasons.contains(&reason))
    };
    let failed = seen.pods().filter(|(_, pod)| is_failed(&pod.waiting));
    failed.map(|(uid, _)| uid.clone()).collect()
}

impl Run<'_> {
    /// Remembers the pods whose image failed when the exercise waited for a failure: a later step replaces them.
    pub(super) fn expect_image_failures(&self) {
        let failed = failed_pods(&self.seen.borrow());
        self.expected_failures().extend(failed);
    }

    fn expected_failures(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.expected_failures
            .lock()
            .expect("no holder of this lock panics")
    }

    /// Returns once a pod cannot start because of its image.
    pub(super) async fn image_failed(&self) -> anyhow::Result<String> {
        let mut seen = self.seen.clone();
        let ignored = self.expected_failures().clone();
        let is_final = self.context.image_errors_are_final;
        let mut cause = None;
        seen.wait_for(|seen| {
            cause = image_failure(seen, &ignored, is_final);
            cause.is_some()
        })
        .await
        .context("the watches ended")?;
        Ok(cause.unwrap_or_default())
    }

    /// Returns once a service of the exercise has no load balancer and does not get one.
    pub(super) async fn load_balancer_failed(&self) -> anyhow::Result<String> {
        let mut seen = self.seen.clone();
        loop {
            seen.wait_for(|seen| seen.load_balancer_failure().is_some())
                .await
                .context("the watches ended")?;
            tokio::time::sleep(LOAD_BALANCER_GRACE).await;
            let failure = seen.borrow().load_balancer_failure();
            if let Some((app, message)) = failure {
                return Ok(format!("service {app} has no load balancer: {message}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::observe::PodSeen;

    fn seen(reason: &str) -> Seen {
        let pod = PodSeen {
            name: "a".to_owned(),
            waiting: Some(reason.to_owned()),
            message: Some("no such image".to_owned()),
            ..PodSeen::default()
        };
        let mut seen = Seen::default();
        seen.app_mut("app").pods.insert("uid".to_owned(), pod);
        seen
    }

    #[test]
    fn image_failures_end_a_wait_unless_they_are_expected() {
        let nothing = BTreeSet::new();
        for (reason, on_node, on_cluster) in [
            (PULL_FAILED, true, false),
            (PULL_BACK_OFF, true, true),
            (INVALID_IMAGE, true, true),
            ("CrashLoopBackOff", false, false),
            ("ContainerCreating", false, false),
        ] {
            let seen = seen(reason);
            assert_eq!(
                image_failure(&seen, &nothing, true).is_some(),
                on_node,
                "{reason}"
            );
            assert_eq!(
                image_failure(&seen, &nothing, false).is_some(),
                on_cluster,
                "{reason}"
            );
            let before = failed_pods(&seen);
            assert_eq!(image_failure(&seen, &before, true), None, "{reason}");
        }
        let failure = image_failure(&seen(PULL_FAILED), &nothing, true);
        assert_eq!(
            failure.as_deref(),
            Some("pod a cannot start: no such image")
        );
    }
}
