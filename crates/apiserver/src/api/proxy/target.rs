//! Pod and port that a request for the subresource `proxy` is forwarded to.

use std::sync::Arc;

use container_runtime::SandboxId;
use serde_json::Value;

use crate::api::request_info::RequestInfo;
use crate::api::{Api, StatusError, read};
use crate::kinds::ProxyBackend;
use crate::store::Key;

/// Port of a pod that declares none.
const DEFAULT_PORT: u64 = 80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) sandbox: SandboxId,
    pub(super) port: u16,
    /// Value of the request's `Host` header: the pod's address and port.
    pub(super) host: String,
    pub(super) scheme: Scheme,
}

impl Target {
    pub(super) fn find(api: &Api, info: &RequestInfo) -> Result<Self, StatusError> {
        let requested = info.name.as_deref().unwrap_or_default();
        let (scheme, name, port) = parse(requested)?;
        let object = read::object(api, info, name)?;
        match info.kind.proxy_backend {
            Some(ProxyBackend::Pod) => Self::new(&object, pod_port(&object, port)?, scheme),
            Some(ProxyBackend::Service) => {
                let (pod, port) = resolve_service_backend(api, info, &object, port)?;
                Self::new(&pod, port, scheme)
            }
            None => Err(StatusError::method_not_allowed()),
        }
    }

    fn new(pod: &Value, port: u16, scheme: Scheme) -> Result<Self, StatusError> {
        let (Some(uid), Some(ip)) = (
            pod["metadata"]["uid"].as_str(),
            pod["status"]["podIP"].as_str().filter(|ip| !ip.is_empty()),
        ) else {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let message = format!("pod {name:?} has no address yet");
            return Err(StatusError::unavailable(message));
        };
        Ok(Self {
            sandbox: SandboxId(uid.to_owned()),
            port,
            host: format!("{ip}:{port}"),
            scheme,
        })
    }
}

/// Parses `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`. The port is empty if it is absent.
fn parse(text: &str) -> Result<(Scheme, &str, &str), StatusError> {
    let parts: Vec<&str> = text.split(':').collect();
    match parts[..] {
        [name] => Ok((Scheme::Http, name, "")),
        [name, port] | ["" | "http", name, port] => Ok((Scheme::Http, name, port)),
        ["https", name, port] => Ok((Scheme::Https, name, port)),
        _ => Err(StatusError::bad_request(format!(
            "invalid request {text:?}: must be NAME, NAME:PORT or SCHEME:NAME:PORT"
        ))),
    }
}

/// Returns the requested port of a pod, by number or name. The default is the pod's first port.
fn pod_port(pod: &Value, requested: &str) -> Result<u16, StatusError> {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let ports = |container: &'_ Value| container["ports"].as_array().cloned().unwrap_or_default();
    let mut ports = containers.flat_map(ports);
    let number = if requested.is_empty() {
        ports
            .next()
            .and_then(|port| port["containerPort"].as_u64())
            .or(Some(DEFAULT_PORT))
    } else {
        let named = ports.find(|port| port["name"] == requested);
        let named = named.and_then(|port| port["containerPort"].as_u64());
        named.or_else(|| requested.parse().ok())
    };
    number
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| StatusError::bad_request(format!("the pod has no port {requested:?}")))
}

/// Returns a ready pod of a service, and the target port of the requested service port: by name, by number, or the first
/// one if `requested` is empty.
fn resolve_service_backend(
    api: &Api,
    info: &RequestInfo,
    service: &Value,
    requested: &str,
) -> Result<(Arc<Value>, u16), StatusError> {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let number = requested.parse::<u16>().ok();
    let is_requested = |port: &&Value| {
        requested.is_empty()
            || port["name"] == requested
            || number.is_some_and(|number| port["port"] == number)
    };
    let port = ports.find(is_requested).ok_or_else(|| {
        StatusError::unavailable(format!(
            "no service port {requested:?} found for service {name:?}"
        ))
    })?;
    let namespace = info.namespace.as_deref();
    let (slices, _) = api.store.list("discovery.k8s.io/endpointslices", namespace);
    let is_of_service =
        |slice: &&Arc<Value>| slice["metadata"]["labels"]["kubernetes.io/service-name"] == name;
    for slice in slices.iter().filter(is_of_service) {
        let mut slice_ports = slice["ports"].as_array().into_iter().flatten();
        let port_name = |port: &Value| port["name"].as_str().unwrap_or_default().to_owned();
        let number = slice_ports
            .find(|slice_port| port_name(slice_port) == port_name(port))
            .and_then(|slice_port| slice_port["port"].as_u64());
        let Some(number) = number.and_then(|number| u16::try_from(number).ok()) else {
            continue;
        };
        let endpoints = slice["endpoints"].as_array().into_iter().flatten();
        let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
        let mut pods = ready.filter_map(|endpoint| {
            api.store.get(&Key {
                resource: "/pods".to_owned(),
                namespace: namespace.unwrap_or_default().to_owned(),
                name: endpoint["targetRef"]["name"].as_str()?.to_owned(),
            })
        });
        if let Some(pod) = pods.next() {
            return Ok((pod, number));
        }
    }
    Err(StatusError::unavailable(format!(
        "no endpoints available for service {name:?}"
    )))
}
