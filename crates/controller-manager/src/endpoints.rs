//! Endpoints controller: writes the addresses of the pods that each service selects, ready and not ready.

mod compute;
pub(super) mod ports;
pub(super) mod slices;

use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::events::{EventType, Recorder};
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Resource, ResourceExt};

use super::Error;
use super::meta::{Labels, has_all_labels};

pub(super) struct Controller {
    context: Context,
    recorder: Recorder,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = watch_services_and_pods(context);
    (
        queue,
        Controller {
            context: context.clone(),
            recorder: context.recorder("endpoint-controller"),
        },
    )
}

/// Creates a queue of the services whose endpoints may have changed.
fn watch_services_and_pods(context: &Context) -> WorkQueue {
    let queue = WorkQueue::default();
    let services = queue.clone();
    context.informers.services.on_change(move |old, new| {
        if let Some(service) = new.or(old) {
            services.add(Key::from_object(service));
        }
    });
    let (chosen, cache) = (queue.clone(), context.informers.services.clone());
    context.informers.pods.on_change(move |old, new| {
        for pod in [old, new].into_iter().flatten() {
            for service in cache.in_namespace(&pod.namespace().unwrap_or_default()) {
                if selector(&service)
                    .is_some_and(|selector| has_all_labels(pod.metadata.labels.as_ref(), selector))
                {
                    chosen.add(Key::from_object(&*service));
                }
            }
        }
    });
    queue
}

/// Returns the selector of a service; `None` if the service has none, because its endpoints are then managed externally.
fn selector(service: &Service) -> Option<&Labels> {
    let spec = service.spec.as_ref()?;
    let external = spec.type_.as_deref() == Some("ExternalName");
    spec.selector
        .as_ref()
        .filter(|selector| !external && !selector.is_empty())
}

fn selected_pods(context: &Context, service: &Service) -> Vec<std::sync::Arc<Pod>> {
    let Some(selector) = selector(service) else {
        return Vec::new();
    };
    let mut pods = context
        .informers
        .pods
        .in_namespace(&service.namespace().unwrap_or_default());
    pods.retain(|pod| has_all_labels(pod.metadata.labels.as_ref(), selector));
    pods
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let api: Api<Endpoints> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let old = self.context.informers.endpoints.get(key);
        let Some(service) = self.context.informers.services.get(key) else {
            if old.is_some() {
                super::meta::ignore_not_found(
                    api.delete(&key.name, &DeleteParams::default()).await,
                )?;
            }
            return Ok(None);
        };
        if selector(&service).is_none() {
            return Ok(None);
        }
        let pods = selected_pods(&self.context, &service);
        let subsets = compute::subsets(&service, pods.iter().map(|pod| &**pod));
        let subsets = (!subsets.is_empty()).then_some(subsets);
        let labels = service.metadata.labels.clone();
        let desired = |metadata| Endpoints {
            metadata,
            subsets: subsets.clone(),
        };
        let written = match old {
            Some(old) if old.subsets == subsets && old.metadata.labels == labels => {
                return Ok(None);
            }
            Some(old) => {
                let update = desired(ObjectMeta {
                    labels,
                    ..old.metadata.clone()
                });
                (
                    api.replace(&key.name, &PostParams::default(), &update)
                        .await,
                    "update",
                )
            }
            None => {
                let name = Some(key.name.clone());
                let new = desired(ObjectMeta {
                    name,
                    labels,
                    ..ObjectMeta::default()
                });
                (api.create(&PostParams::default(), &new).await, "create")
            }
        };
        self.written(&service, written).await
    }
}

impl Controller {
    async fn written(
        &self,
        service: &Service,
        (answer, doing): (kube::Result<Endpoints>, &str),
    ) -> Result<Option<Duration>, Error> {
        match answer {
            Ok(endpoints) => {
                self.context
                    .informers
                    .endpoints
                    .wait_for_resource_version(&endpoints.metadata)
                    .await;
                Ok(None)
            }
            Err(error) => {
                let reason = if doing == "create" {
                    "FailedToCreateEndpoint"
                } else {
                    "FailedToUpdateEndpoint"
                };
                let message = format!(
                    "Failed to {doing} endpoint {}/{}: {error}",
                    service.namespace().unwrap_or_default(),
                    service.name_any()
                );
                self.recorder.event(
                    &service.object_ref(&()),
                    EventType::Warning,
                    reason,
                    message,
                );
                Err(error.into())
            }
        }
    }
}
