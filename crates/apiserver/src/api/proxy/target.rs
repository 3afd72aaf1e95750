//! Which pod a path means, and which of its ports.

use std::sync::Arc;

use container_runtime::SandboxId;
use serde_json::Value;

use super::super::path::Path;
use super::super::{Api, Failure, read};
use crate::store::Key;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) sandbox: SandboxId,
    pub(super) port: u16,
    /// As the pod is told whom the request is for.
    pub(super) host: String,
    /// Whether it is spoken to over TLS.
    pub(super) secure: bool,
}

impl Target {
    pub(super) fn find(api: &Api, path: &Path) -> Result<Self, Failure> {
        let asked = path.name.as_deref().unwrap_or_default();
        let (secure, name, port) = parse(asked)?;
        let object = read::object(api, path, name)?;
        let found = if path.kind.kind == "Pod" {
            Self::of_pod(&object, port)?
        } else {
            let (pod, port) = behind(api, path, &object, port)?;
            Self::at(&pod, port)?
        };
        Ok(Self { secure, ..found })
    }

    fn of_pod(pod: &Value, port: &str) -> Result<Self, Failure> {
        let containers = || pod["spec"]["containers"].as_array().into_iter().flatten();
        let mut ports = containers().flat_map(|one| one["ports"].as_array().into_iter().flatten());
        let number = if port.is_empty() {
            ports
                .next()
                .and_then(|port| port["containerPort"].as_u64())
                .or(Some(80))
        } else {
            let named = ports.find(|one| one["name"] == port);
            let named = named.and_then(|one| one["containerPort"].as_u64());
            named.or_else(|| port.parse().ok())
        };
        let number = number.and_then(|number| u16::try_from(number).ok());
        let invalid = || Failure::bad_request(format!("the pod has no port {port:?}"));
        Self::at(pod, number.ok_or_else(invalid)?)
    }

    fn at(pod: &Value, port: u16) -> Result<Self, Failure> {
        let (Some(uid), Some(ip)) = (
            pod["metadata"]["uid"].as_str(),
            pod["status"]["podIP"].as_str().filter(|ip| !ip.is_empty()),
        ) else {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let why = format!("pod {name:?} has no address yet");
            return Err(Failure::unavailable(why));
        };
        Ok(Self {
            sandbox: SandboxId(uid.to_owned()),
            port,
            host: format!("{ip}:{port}"),
            secure: false,
        })
    }
}

/// `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`: whether over TLS, the name, the port.
fn parse(asked: &str) -> Result<(bool, &str, &str), Failure> {
    let parts: Vec<&str> = asked.split(':').collect();
    match parts[..] {
        [name] => Ok((false, name, "")),
        [name, port] | ["" | "http", name, port] => Ok((false, name, port)),
        ["https", name, port] => Ok((true, name, port)),
        _ => Err(Failure::bad_request(format!(
            "invalid request {asked:?}: it is NAME, NAME:PORT or SCHEME:NAME:PORT"
        ))),
    }
}

/// A ready pod of a service, and its port behind the one that is asked for: by name, by number, or the only one.
fn behind(
    api: &Api,
    path: &Path,
    service: &Value,
    asked: &str,
) -> Result<(Arc<Value>, u16), Failure> {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let number = asked.parse::<u16>().ok();
    let is_asked = |port: &&Value| {
        asked.is_empty()
            || port["name"] == asked
            || number.is_some_and(|number| port["port"] == number)
    };
    let unavailable = |why: String| Failure::unavailable(why);
    let port = ports.clone().find(is_asked).ok_or_else(|| {
        unavailable(format!(
            "no service port {asked:?} found for service {name:?}"
        ))
    })?;
    let namespace = path.namespace.as_deref();
    let (slices, _) = api.store.list("discovery.k8s.io/endpointslices", namespace);
    let of_service =
        |slice: &&Arc<Value>| slice["metadata"]["labels"]["kubernetes.io/service-name"] == name;
    for slice in slices.iter().filter(of_service) {
        let in_slice = slice["ports"].as_array().into_iter().flatten();
        let same = |one: &&Value| {
            one["name"].as_str().unwrap_or_default() == port["name"].as_str().unwrap_or_default()
        };
        let number = in_slice
            .clone()
            .find(same)
            .and_then(|one| one["port"].as_u64());
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
    Err(unavailable(format!(
        "no endpoints available for service {name:?}"
    )))
}
