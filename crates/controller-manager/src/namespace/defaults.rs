//! Bootstrap objects: the default namespaces and the service `kubernetes`.

use component_helpers::controller::Context;
use component_helpers::work_queue::Key;
use k8s_openapi::api::core::v1::{Namespace, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::{Api, PostParams};

use crate::Error;

pub(super) const NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];
const SERVICE: &str = "kubernetes";
/// First address of the service network, as on every cluster.
const SERVICE_ADDRESS: &str = "10.96.0.1";

/// Treats "already exists" as success of a creation.
pub(super) fn ignore_already_exists<T>(answer: kube::Result<T>) -> Result<(), Error> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

pub(super) async fn ensure_namespace(context: &Context, name: &str) -> Result<(), Error> {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    };
    let namespace = Namespace {
        metadata,
        ..Namespace::default()
    };
    let api: Api<Namespace> = Api::all(context.client.clone());
    ignore_already_exists(api.create(&PostParams::default(), &namespace).await)
}

/// Creates the service `kubernetes`. It has no selector, because the API server listens outside the pod network.
pub(super) async fn ensure_service(context: &Context) -> Result<(), Error> {
    if context
        .informers
        .services
        .get(&Key::new("default", SERVICE))
        .is_some()
    {
        return Ok(());
    }
    let labels = [("component", "apiserver"), ("provider", "kubernetes")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let service = Service {
        metadata: ObjectMeta {
            name: Some(SERVICE.to_owned()),
            labels: Some(labels.into_iter().collect()),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            cluster_ip: Some(SERVICE_ADDRESS.to_owned()),
            ports: Some(vec![ServicePort {
                name: Some("https".to_owned()),
                port: 443,
                protocol: Some("TCP".to_owned()),
                target_port: Some(IntOrString::Int(6443)),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    let api: Api<Service> = Api::namespaced(context.client.clone(), "default");
    ignore_already_exists(api.create(&PostParams::default(), &service).await)
}
