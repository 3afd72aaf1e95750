//! Resolves the image of a container, with the pull back-off (upstream's `images/image_manager.go`).

use std::time::Duration;

use component_helpers::events::EventType::{Normal, Warning};
use container_runtime::Image;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};

use super::Worker;
use crate::instance::StatusReason;

const INITIAL_IMAGE_PULL_BACKOFF: Duration = Duration::from_secs(10);
const MAX_IMAGE_PULL_BACKOFF: Duration = Duration::from_secs(300);

/// Back-off of a container whose image could not be resolved.
pub(super) struct PullBackOff {
    delay: Duration,
    until: Timestamp,
    error: String,
}

impl Worker {
    /// Resolves the container's image. On failure and during the back-off it sets the waiting reason, schedules a sync and
    /// returns `None`.
    pub(super) async fn ensure_image(&mut self, pod: &Pod, container: &Container) -> Option<Image> {
        let reference = container.image.clone().unwrap_or_default();
        if self.is_pull_backed_off(&container.name) {
            self.enter_image_pull_backoff(pod, container, &reference);
            return None;
        }
        match self.context.runtime.resolve_image(&reference).await {
            Ok(image) => {
                self.pull_back_offs.remove(&container.name);
                let message = format!(
                    "Container image {reference:?} already present on machine and can be accessed by the pod"
                );
                self.event(pod, Some(&container.name), Normal, "Pulled", &message);
                Some(image)
            }
            Err(error) => {
                self.on_pull_error(pod, container, &reference, error.to_string());
                None
            }
        }
    }

    fn is_pull_backed_off(&self, container: &str) -> bool {
        let now = self.context.clock.now();
        let back_off = self.pull_back_offs.get(container);
        back_off.is_some_and(|back_off| now < back_off.until)
    }

    fn enter_image_pull_backoff(&mut self, pod: &Pod, container: &Container, reference: &str) {
        let name = &container.name;
        let Some(PullBackOff { until, error, .. }) = self.pull_back_offs.get(name) else {
            return;
        };
        let until = *until;
        let message = format!("Back-off pulling image {reference:?}");
        let reason = format!("{message}: ErrImagePull: {error}");
        self.event(pod, Some(name), Normal, "BackOff", &message);
        let error = "Error: ImagePullBackOff";
        self.event(pod, Some(name), Warning, "Failed", error);
        self.set_waiting(name, StatusReason::new("ImagePullBackOff", reason));
        let remaining = until.duration_since(self.context.clock.now());
        self.requeue_after(Duration::try_from(remaining).unwrap_or_default());
    }

    fn on_pull_error(&mut self, pod: &Pod, container: &Container, reference: &str, error: String) {
        let name = &container.name;
        let pulling = format!("Pulling image {reference:?}");
        self.event(pod, Some(name), Normal, "Pulling", &pulling);
        let failed = format!("Failed to pull image {reference:?}: {error}");
        self.event(pod, Some(name), Warning, "Failed", &failed);
        self.event(pod, Some(name), Warning, "Failed", "Error: ErrImagePull");
        self.set_waiting(name, StatusReason::new("ErrImagePull", error.clone()));
        let previous = self.pull_back_offs.get(name);
        let delay = previous.map_or(INITIAL_IMAGE_PULL_BACKOFF, |previous| {
            (previous.delay * 2).min(MAX_IMAGE_PULL_BACKOFF)
        });
        let now = self.context.clock.now();
        let back_off = PullBackOff {
            delay,
            until: now.saturating_add(delay).unwrap_or(Timestamp::MAX),
            error,
        };
        self.pull_back_offs.insert(name.clone(), back_off);
        // The next sync is during the back-off and sets the reason `ImagePullBackOff`.
        self.requeue_after(delay / 2);
    }
}
