//! The container that `log` and `exec` are about.

use std::sync::Arc;

use container_runtime::{ContainerId, Runtime};
use serde_json::Value;

use super::path::Path;
use super::query::Query;
use super::{Api, Failure, read};

/// Which instance of a container is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Instance {
    Current,
    Running,
    Previous,
}

/// The instance that a request means.
pub(super) fn find(
    api: &Api,
    path: &Path,
    query: &Query,
    instance: Instance,
) -> Result<ContainerId, Failure> {
    let pod_name = path.name.as_deref().unwrap_or_default();
    let pod = read::object(api, path, pod_name)?;
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
    let running = status["state"].get("running").is_some();
    match (id, instance) {
        (Some(_), Instance::Running) if !running => Err(Failure::bad_request(format!(
            "container {name:?} in pod {pod_name:?} is not running"
        ))),
        (Some(id), _) => Ok(ContainerId(
            id.split_once("://").map_or(id, |(_, id)| id).to_owned(),
        )),
        (None, Instance::Previous) => Err(Failure::bad_request(format!(
            "previous terminated container {name:?} in pod {pod_name:?} not found"
        ))),
        (None, _) => {
            let reason = status["state"]["waiting"]["reason"].as_str();
            Err(Failure::bad_request(format!(
                "container {name:?} in pod {pod_name:?} is waiting to start: {}",
                reason.unwrap_or("ContainerCreating")
            )))
        }
    }
}

/// The name in the query, or that of the only container.
fn name(pod: &Value, pod_name: &str, query: &Query) -> Result<String, Failure> {
    let of = |list: &str| -> Vec<String> {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers
            .filter_map(|container| container["name"].as_str().map(str::to_owned))
            .collect()
    };
    let (containers, init) = (of("containers"), of("initContainers"));
    match (query.get("container"), containers.as_slice()) {
        (Some(name), _) if containers.iter().chain(&init).any(|known| known == name) => {
            Ok(name.to_owned())
        }
        (Some(name), _) => Err(Failure::bad_request(format!(
            "container {name} is not valid for pod {pod_name}"
        ))),
        (None, [only]) => Ok(only.clone()),
        (None, several) => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            several.join(" ")
        ))),
    }
}

/// Who runs this node's containers.
pub(super) fn runtime(api: &Api) -> Result<Arc<dyn Runtime>, Failure> {
    let runtime = api.runtime.clone();
    runtime.ok_or_else(|| Failure::bad_request("this API has no node that runs containers"))
}

/// The runtime's refusal as the kubelet's.
pub(super) fn refused(error: &container_runtime::RuntimeError) -> Failure {
    Failure::bad_request(error.to_string())
}
