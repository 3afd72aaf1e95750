//! Checks before the first step: the exercise's objects, and pods that its selectors match, must not exist.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::RunContext;
use crate::exercise::apply::Applier;
use crate::exercise::{Exercise, manifests, selector};

/// Limit for pods of deployments that were deleted shortly before, on the cluster's clock.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(60);
/// Interval between lists of leftover pods, on the cluster's clock.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Fails if one of the exercise's objects exists already.
pub(super) async fn ensure_no_conflicts(
    exercise: &Exercise,
    applier: &Applier,
) -> anyhow::Result<()> {
    let objects = manifests::applied_objects(exercise)?;
    let found = applier.existing(&objects).await?;
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "{} exists already; delete it, or change it with --force",
        found.join(", ")
    )
}

/// Waits for the pods of deployments that were deleted shortly before: a service selects them by the same labels.
pub(super) async fn wait_for_leftover_pods(
    exercise: &Exercise,
    context: &RunContext<'_>,
) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(context.client.clone(), &context.namespace);
    let deadline = context.clock.elapsed() + LEFTOVER_TIMEOUT;
    for app in &exercise.apps {
        let by_app = ListParams::default().labels(&selector(app));
        loop {
            let leftover = pods.list(&by_app).await.context("listing pods")?.items;
            if leftover.is_empty() {
                break;
            }
            if context.clock.elapsed() >= deadline {
                let names: Vec<_> = leftover.iter().map(ResourceExt::name_any).collect();
                bail!(
                    "{} would be selected as pods of {app}; delete them, or their owner",
                    names.join(", ")
                );
            }
            context.clock.sleep(POLL_INTERVAL).await;
        }
    }
    Ok(())
}
