//! EndpointSlice controller: writes the selected pods with their addresses and conditions (ready, serving, terminating).
//!
//! Pods that resolve the service's ports to different numbers are in different slices. A slice has at most 100 endpoints.

mod compute;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};

use super::{selected_pods, selector, watch_services_and_pods};
use crate::Error;
use crate::meta::{Labels, controlled_by, ignore_not_found};
use compute::Group;

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

pub(crate) struct Controller {
    context: Context,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(crate) fn controller(context: &Context) -> (WorkQueue, Controller) {
    let queue = watch_services_and_pods(context);
    (
        queue,
        Controller {
            context: context.clone(),
        },
    )
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let mut old = self.context.informers.slices.in_namespace(&key.namespace);
        old.retain(|slice| {
            slice.labels().get(SERVICE_NAME) == Some(&key.name)
                && slice
                    .labels()
                    .get(MANAGED_BY)
                    .is_some_and(|by| by == MANAGER)
        });
        let service = self.context.informers.services.get(key);
        let Some(service) = service.filter(|service| selector(service).is_some()) else {
            return self.remove(key, old).await;
        };
        let pods = selected_pods(&self.context, &service);
        let mut left = old;
        for group in compute::groups(&service, pods.iter().map(|pod| &**pod)) {
            let same = left.iter().position(|slice| group.has_ports_of(slice));
            let old = same.map(|at| left.remove(at));
            self.write(key, &service, old, group).await?;
        }
        self.remove(key, left).await
    }
}

impl Controller {
    async fn write(
        &self,
        key: &Key,
        service: &Service,
        old: Option<Arc<EndpointSlice>>,
        group: Group,
    ) -> Result<(), Error> {
        let api: Api<EndpointSlice> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let labels = labels(service);
        let slice = |metadata| EndpointSlice {
            metadata,
            address_type: "IPv4".to_owned(),
            endpoints: Some(group.endpoints.clone()),
            ports: Some(group.ports.clone()),
        };
        let written = match old {
            Some(old)
                if old.endpoints.as_ref() == Some(&group.endpoints) && *old.labels() == labels =>
            {
                return Ok(());
            }
            Some(old) => {
                let update = slice(ObjectMeta {
                    labels: Some(labels),
                    ..old.metadata.clone()
                });
                api.replace(&old.name_any(), &PostParams::default(), &update)
                    .await?
            }
            None => {
                let new = slice(ObjectMeta {
                    generate_name: Some(format!("{}-", key.name)),
                    labels: Some(labels),
                    owner_references: Some(vec![controlled_by(service)]),
                    ..ObjectMeta::default()
                });
                api.create(&PostParams::default(), &new).await?
            }
        };
        self.context
            .informers
            .slices
            .wait_for_resource_version(&written.metadata)
            .await;
        Ok(())
    }

    async fn remove(
        &self,
        key: &Key,
        slices: Vec<Arc<EndpointSlice>>,
    ) -> Result<Option<Duration>, Error> {
        let api: Api<EndpointSlice> = Api::namespaced(self.context.client.clone(), &key.namespace);
        for slice in slices {
            ignore_not_found(
                api.delete(&slice.name_any(), &DeleteParams::default())
                    .await,
            )?;
        }
        Ok(None)
    }
}

fn labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    labels.insert(SERVICE_NAME.to_owned(), service.name_any());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}
