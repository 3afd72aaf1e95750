//! Known causes for which a wait cannot succeed. A wait ends as soon as one is observed.

use std::collections::BTreeSet;
use std::sync::MutexGuard;
use std::time::Duration;

use anyhow::Context as _;

use super::ExerciseRun;
use crate::exercise::observe::Observations;

/// Reasons of a waiting container whose image can never be resolved.
const INVALID_IMAGE: &str = "InvalidImageName";
const PULL_FAILED: &str = "ErrImagePull";
const PULL_BACK_OFF: &str = "ImagePullBackOff";

/// Time after a failure until a service without a load balancer is an error, in real time. The listener of a service that was
/// just deleted can still be open at the first attempt.
const LOAD_BALANCER_GRACE: Duration = Duration::from_secs(2);

/// Describes the first pod that cannot start because of its image. Pods of `ignored` UIDs are skipped.
fn image_failure(
    observations: &Observations,
    ignored: &BTreeSet<String>,
    is_final: bool,
) -> Option<String> {
    let pods = observations
        .pods()
        .filter(|(uid, _)| !ignored.contains(*uid));
    let mut failures = pods.filter_map(|(_, pod)| {
        let reason = pod.waiting_reason.as_deref()?;
        let is_known = reason == INVALID_IMAGE
            || reason == PULL_BACK_OFF
            || (is_final && reason == PULL_FAILED);
        let message = pod.waiting_message.as_deref().unwrap_or(reason);
        is_known.then(|| format!("pod {} cannot start: {message}", pod.name))
    });
    failures.next()
}

/// UIDs of the pods whose image failed.
fn failed_pods(observations: &Observations) -> BTreeSet<String> {
    let reasons = [INVALID_IMAGE, PULL_FAILED, PULL_BACK_OFF];
    let is_failed = |reason: &Option<String>| {
        let reason = reason.as_deref();
        reason.is_some_and(|reason| reasons.contains(&reason))
    };
    let failed = observations
        .pods()
        .filter(|(_, pod)| is_failed(&pod.waiting_reason));
    failed.map(|(uid, _)| uid.clone()).collect()
}

impl ExerciseRun<'_> {
    /// Excludes pods whose image failed, as the exercise expects, from later checks: a later step replaces them.
    pub(super) fn expect_image_failures(&self) {
        let failed = failed_pods(&self.observations.borrow());
        self.expected_failures().extend(failed);
    }

    fn expected_failures(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.expected_failures
            .lock()
            .expect("no holder of this lock panics")
    }

    /// Waits until a pod cannot start because of its image; returns the description.
    pub(super) async fn wait_for_image_failure(&self) -> anyhow::Result<String> {
        let mut observations = self.observations.clone();
        let ignored = self.expected_failures().clone();
        let is_final = self.context.image_errors_are_final;
        let mut cause = None;
        observations
            .wait_for(|observations| {
                cause = image_failure(observations, &ignored, is_final);
                cause.is_some()
            })
            .await
            .context("the watches ended")?;
        Ok(cause.unwrap_or_default())
    }

    /// Waits until a service of the exercise has no load balancer and does not get one; returns the description.
    pub(super) async fn wait_for_load_balancer_failure(&self) -> anyhow::Result<String> {
        let mut observations = self.observations.clone();
        loop {
            observations
                .wait_for(|observations| observations.load_balancer_failure().is_some())
                .await
                .context("the watches ended")?;
            tokio::time::sleep(LOAD_BALANCER_GRACE).await;
            let failure = observations.borrow().load_balancer_failure();
            if let Some((app, message)) = failure {
                return Ok(format!("service {app} has no load balancer: {message}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::observe::PodState;

    fn observations(reason: &str) -> Observations {
        let pod = PodState {
            name: "a".to_owned(),
            waiting_reason: Some(reason.to_owned()),
            waiting_message: Some("no such image".to_owned()),
            ..PodState::default()
        };
        let mut observations = Observations::default();
        let app = observations.app_mut("app");
        app.pods.insert("uid".to_owned(), pod);
        observations
    }

    #[test]
    fn image_failures_end_a_wait_unless_they_are_expected() {
        let none = BTreeSet::new();
        for (reason, on_node, on_cluster) in [
            (PULL_FAILED, true, false),
            (PULL_BACK_OFF, true, true),
            (INVALID_IMAGE, true, true),
            ("CrashLoopBackOff", false, false),
            ("ContainerCreating", false, false),
        ] {
            let observations = observations(reason);
            let has_failed = |is_final| image_failure(&observations, &none, is_final).is_some();
            assert_eq!(has_failed(true), on_node, "{reason}");
            assert_eq!(has_failed(false), on_cluster, "{reason}");
            let expected = failed_pods(&observations);
            assert_eq!(
                image_failure(&observations, &expected, true),
                None,
                "{reason}"
            );
        }
        let failure = image_failure(&observations(PULL_FAILED), &none, true);
        assert_eq!(
            failure.as_deref(),
            Some("pod a cannot start: no such image")
        );
    }
}
