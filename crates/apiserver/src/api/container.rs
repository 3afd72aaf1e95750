//! Lookup of the container that a request for `log`, `exec` or `attach` selects.

use std::sync::Arc;

use container_runtime::{ContainerId, Runtime};
use serde_json::Value;

use super::query::Query;
use super::request_info::RequestInfo;
use super::{Api, StatusError, read};

/// Instance of a container.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Instance {
    /// The latest one, whether it is running or has terminated.
    Current,
    /// The latest one, which must be running.
    Running,
    /// The one before the last restart.
    Previous,
}

/// Returns the ID of the container that a request selects.
pub(super) fn find(
    api: &Api,
    info: &RequestInfo,
    query: &Query,
    instance: Instance,
) -> Result<ContainerId, StatusError> {
    let pod_name = info.name.as_deref().unwrap_or_default();
    let pod = read::object(api, info, pod_name)?;
    let name = name(&pod, pod_name, query)?;
    let lists = ["containerStatuses", "initContainerStatuses"];
    let status = lists
        .iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
        .find(|status| status["name"] == name.as_str());
    let status = status.unwrap_or(&Value::Null);
    let id = match instance {
        Instance::Previous => &status["lastState"]["terminated"]["containerID"],
        _ => &status["containerID"],
    };
    let id = id.as_str().filter(|id| !id.is_empty());
    let is_running = status["state"].get("running").is_some();
    match (id, instance) {
        (Some(_), Instance::Running) if !is_running => Err(StatusError::bad_request(format!(
            "container {name:?} in pod {pod_name:?} is not running"
        ))),
        (Some(id), _) => Ok(ContainerId(
            id.split_once("://").map_or(id, |(_, id)| id).to_owned(),
        )),
        (None, Instance::Previous) => Err(StatusError::bad_request(format!(
            "previous terminated container {name:?} in pod {pod_name:?} not found"
        ))),
        (None, _) => {
            let reason = status["state"]["waiting"]["reason"].as_str();
            Err(StatusError::bad_request(format!(
                "container {name:?} in pod {pod_name:?} is waiting to start: {}",
                reason.unwrap_or("ContainerCreating")
            )))
        }
    }
}

/// Returns the name in the query, or that of the pod's only container.
fn name(pod: &Value, pod_name: &str, query: &Query) -> Result<String, StatusError> {
    let names = |list: &str| -> Vec<String> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .filter_map(|container| container["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (containers, init_containers) = (names("containers"), names("initContainers"));
    match (query.get("container"), containers.as_slice()) {
        (Some(name), _)
            if containers
                .iter()
                .chain(&init_containers)
                .any(|known| known == name) =>
        {
            Ok(name.to_owned())
        }
        (Some(name), _) => Err(StatusError::bad_request(format!(
            "container {name} is not valid for pod {pod_name}"
        ))),
        (None, [only]) => Ok(only.clone()),
        (None, several) => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            several.join(" ")
        ))),
    }
}

/// Returns the container runtime. Fails in an API-only server.
pub(super) fn runtime(api: &Api) -> Result<Arc<dyn Runtime>, StatusError> {
    let runtime = api.runtime.clone();
    runtime.ok_or_else(|| StatusError::bad_request("this API server has no container runtime"))
}

/// Converts an error of the runtime as the kubelet does: 400 with the runtime's message.
pub(super) fn runtime_error(error: &container_runtime::RuntimeError) -> StatusError {
    StatusError::bad_request(error.to_string())
}
