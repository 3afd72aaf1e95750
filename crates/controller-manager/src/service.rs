//! Service controller: exposes services of type `LoadBalancer` and writes their ingress address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use component_helpers::controller::Context;
use component_helpers::events::{EventType, Recorder};
use component_helpers::load_balancer::LoadBalancer;
use component_helpers::work_queue::{Key, Reconcile, WorkQueue};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Service, ServiceStatus};
use kube::Resource;
use kube::api::{Api, PostParams};

use super::Error;

pub(super) struct Controller {
    context: Context,
    recorder: Recorder,
    load_balancer: Arc<dyn LoadBalancer>,
    /// Ports at which the load balancer listens, by service.
    exposed_ports: Mutex<HashMap<Key, Vec<u16>>>,
}

/// Registers the controller's handlers; returns its queue and its reconciler.
pub(super) fn controller(
    context: &Context,
    load_balancer: Arc<dyn LoadBalancer>,
) -> (WorkQueue, Controller) {
    let queue = WorkQueue::default();
    let services = queue.clone();
    context.informers.services.on_change(move |old, new| {
        if let Some(service) = new.or(old) {
            services.add(Key::from_object(service));
        }
    });
    let recorder = context.recorder("service-controller");
    let controller = Controller {
        context: context.clone(),
        recorder,
        load_balancer,
        exposed_ports: Mutex::default(),
    };
    (queue, controller)
}

/// Returns the ports to expose; `None` if the service has another type or is being deleted.
fn load_balancer_ports(service: &Service) -> Option<Vec<u16>> {
    let spec = service.spec.as_ref()?;
    let is_exposed = spec.type_.as_deref() == Some("LoadBalancer")
        && service.metadata.deletion_timestamp.is_none();
    let ports = spec
        .ports
        .iter()
        .flatten()
        .filter_map(|port| u16::try_from(port.port).ok());
    is_exposed.then(|| ports.collect())
}

#[async_trait]
impl Reconcile for Controller {
    type Error = Error;

    async fn sync(&self, key: &Key) -> Result<Option<Duration>, Error> {
        let service = self.context.informers.services.get(key);
        let ports = service
            .as_ref()
            .and_then(|service| load_balancer_ports(service));
        match (service, ports) {
            (Some(service), Some(ports)) => self.ensure(key, &service, ports).await?,
            (service, _) => {
                if self.exposed_ports().remove(key).is_some() {
                    self.load_balancer.release(&key.namespace, &key.name).await;
                }
                if let Some(service) = service.filter(|service| ingress(service).is_some()) {
                    self.update_ingress_status(key, &service, None).await?;
                }
            }
        }
        Ok(None)
    }
}

impl Controller {
    async fn ensure(&self, key: &Key, service: &Service, ports: Vec<u16>) -> Result<(), Error> {
        if self.exposed_ports().get(key) == Some(&ports) && ingress(service).is_some() {
            return Ok(());
        }
        let object = service.object_ref(&());
        self.recorder.event(
            &object,
            EventType::Normal,
            "EnsuringLoadBalancer",
            "Ensuring load balancer",
        );
        match self
            .load_balancer
            .ensure(&key.namespace, &key.name, &ports)
            .await
        {
            Ok(ip) => {
                self.exposed_ports().insert(key.clone(), ports);
                self.update_ingress_status(key, service, Some(ip.to_string()))
                    .await?;
                self.recorder.event(
                    &object,
                    EventType::Normal,
                    "EnsuredLoadBalancer",
                    "Ensured load balancer",
                );
                Ok(())
            }
            Err(reason) => {
                let error = Error::LoadBalancer(reason);
                let message = format!("Error syncing load balancer: {error}");
                self.recorder.event(
                    &object,
                    EventType::Warning,
                    "SyncLoadBalancerFailed",
                    message,
                );
                Err(error)
            }
        }
    }

    async fn update_ingress_status(
        &self,
        key: &Key,
        service: &Service,
        ip: Option<String>,
    ) -> Result<(), Error> {
        let ingress = ip.map(|ip| {
            vec![LoadBalancerIngress {
                ip: Some(ip),
                ..LoadBalancerIngress::default()
            }]
        });
        let status = ServiceStatus {
            load_balancer: Some(LoadBalancerStatus { ingress }),
            ..service.status.clone().unwrap_or_default()
        };
        let update = Service {
            status: Some(status),
            ..service.clone()
        };
        let api: Api<Service> = Api::namespaced(self.context.client.clone(), &key.namespace);
        let written = api
            .replace_status(&key.name, &PostParams::default(), &update)
            .await?;
        self.context
            .informers
            .services
            .wait_for_resource_version(&written.metadata)
            .await;
        Ok(())
    }

    fn exposed_ports(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Vec<u16>>> {
        self.exposed_ports
            .lock()
            .expect("no holder of this lock panics")
    }
}

fn ingress(service: &Service) -> Option<&LoadBalancerIngress> {
    service
        .status
        .as_ref()?
        .load_balancer
        .as_ref()?
        .ingress
        .as_ref()?
        .first()
}
