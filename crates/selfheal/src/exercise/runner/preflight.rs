//! Whether there is room for an exercise: nothing may be there that it would take for its own.

use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use super::Place;
use crate::exercise::apply::Applier;
use crate::exercise::step::Step;
use crate::exercise::{Exercise, catalog, selector};

/// Enough for pods whose processes end only when they are killed.
const WITHIN: Duration = Duration::from_secs(60);
const PERIOD: Duration = Duration::from_secs(1);

/// Refuses to change what somebody else has made.
pub(super) async fn refuse_existing(exercise: &Exercise, applier: &Applier) -> anyhow::Result<()> {
    for step in &exercise.steps {
        let Step::Apply(path) = step else { continue };
        for manifest in catalog::manifests(path) {
            let found = applier.existing(manifest).await?;
            if !found.is_empty() {
                bail!(
                    "{} is there already; delete it or say --force to change it",
                    found.join(", ")
                );
            }
        }
    }
    Ok(())
}

/// Waits for the pods of deployments that were deleted a moment ago: a service finds them by the same labels.
pub(super) async fn outlast(exercise: &Exercise, place: &Place<'_>) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(place.client.clone(), &place.namespace);
    let deadline = place.clock.elapsed() + WITHIN;
    for app in &exercise.apps {
        let of_app = ListParams::default().labels(&selector(app));
        loop {
            let left = pods.list(&of_app).await.context("listing pods")?.items;
            if left.is_empty() {
                break;
            }
            if place.clock.elapsed() >= deadline {
                let names: Vec<_> = left.iter().map(ResourceExt::name_any).collect();
                bail!(
                    "{} would be taken for pods of {app}; delete them, or what keeps them",
                    names.join(", ")
                );
            }
            place.clock.sleep(PERIOD).await;
        }
    }
    Ok(())
}
