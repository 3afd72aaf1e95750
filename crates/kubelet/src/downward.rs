//! What a pod may know of itself: its fields, and what its containers were promised.

use std::collections::BTreeMap;

use component_helpers::quantity;
use k8s_openapi::api::core::v1::{
    Container, ObjectFieldSelector, Pod, ResourceFieldSelector, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use probe::spec::field::quote;

/// Why there is no such value.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownwardError {
    /// A field that is not offered.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// A resource that is not offered.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// A container that the pod does not have.
    #[error("container {0} not found")]
    Container(String),
    /// Not an amount.
    #[error("{field}: Invalid value: {value:?}: not a quantity")]
    Amount { field: String, value: String },
}

/// A pod, and what the node adds to it.
pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    pub(super) pod_ip: String,
    pub(super) node_ip: &'a str,
    /// What the node has for all pods: a container without a limit may use as much.
    pub(super) allocatable: &'a BTreeMap<String, Quantity>,
}

impl Facts<'_> {
    /// The value of a `fieldRef`.
    pub(super) fn field(&self, selector: &ObjectFieldSelector) -> Result<String, DownwardError> {
        let path = selector.field_path.as_str();
        let (meta, spec) = (&self.pod.metadata, self.pod.spec.as_ref());
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let key = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
        Ok(match path {
            "metadata.name" => text(&meta.name),
            "metadata.namespace" => text(&meta.namespace),
            "metadata.uid" => text(&meta.uid),
            "metadata.labels" => all(meta.labels.as_ref()),
            "metadata.annotations" => all(meta.annotations.as_ref()),
            "spec.nodeName" => spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
            "spec.serviceAccountName" => spec
                .map(|spec| text(&spec.service_account_name))
                .unwrap_or_default(),
            "status.podIP" | "status.podIPs" => self.pod_ip.clone(),
            "status.hostIP" | "status.hostIPs" => self.node_ip.to_owned(),
            _ => match (key("metadata.labels['"), key("metadata.annotations['")) {
                (Some(label), _) => entry(meta.labels.as_ref(), label),
                (None, Some(annotation)) => entry(meta.annotations.as_ref(), annotation),
                (None, None) => return Err(DownwardError::Field(path.to_owned())),
            },
        })
    }

    /// The value of a `resourceFieldRef` in a volume, which names its container.
    pub(super) fn resource_of_named(
        &self,
        selector: &ResourceFieldSelector,
    ) -> Result<String, DownwardError> {
        let name = selector.container_name.as_deref().unwrap_or_default();
        let spec = self.pod.spec.iter();
        let mut all = spec.flat_map(|spec| {
            let inits = spec.init_containers.iter().flatten();
            spec.containers.iter().chain(inits)
        });
        let container = all.find(|container| container.name == name);
        let container = container.ok_or_else(|| DownwardError::Container(name.to_owned()))?;
        self.resource(container, selector)
    }

    /// The value of a `resourceFieldRef` in a container's environment, in units of its divisor.
    pub(super) fn resource(
        &self,
        container: &Container,
        selector: &ResourceFieldSelector,
    ) -> Result<String, DownwardError> {
        let unsupported = || DownwardError::Resource(selector.resource.clone());
        let (list, resource) = selector.resource.split_once('.').ok_or_else(unsupported)?;
        if !matches!(resource, "cpu" | "memory" | "ephemeral-storage") {
            return Err(unsupported());
        }
        let resources = container.resources.as_ref();
        let amount = match list {
            "requests" => of(resources, |all| all.requests.as_ref(), resource),
            "limits" => of(resources, |all| all.limits.as_ref(), resource)
                .filter(|limit| quantity::milli_value(limit) != Some(0))
                .or_else(|| self.allocatable.get(resource)),
            _ => return Err(unsupported()),
        };
        let nothing = Quantity("0".to_owned());
        let amount = in_units(amount.unwrap_or(&nothing), resource, &selector.resource)?;
        let divisor = match &selector.divisor {
            Some(divisor) => in_units(divisor, resource, "divisor")?,
            None => 0,
        };
        // Nothing stands for one.
        let one = if resource == "cpu" { 1000 } else { 1 };
        let divisor = if divisor == 0 { one } else { divisor };
        Ok(((amount + divisor - 1) / divisor).to_string())
    }
}

/// Processors are counted in thousandths, all else in whole numbers.
fn in_units(amount: &Quantity, resource: &str, field: &str) -> Result<i128, DownwardError> {
    let units = if resource == "cpu" {
        quantity::milli_value(amount)
    } else {
        quantity::value(amount)
    };
    units.ok_or_else(|| DownwardError::Amount {
        field: field.to_owned(),
        value: amount.0.clone(),
    })
}

fn of<'a>(
    resources: Option<&'a ResourceRequirements>,
    list: fn(&'a ResourceRequirements) -> Option<&'a BTreeMap<String, Quantity>>,
    name: &str,
) -> Option<&'a Quantity> {
    list(resources?)?.get(name)
}

fn entry(map: Option<&BTreeMap<String, String>>, key: &str) -> String {
    map.and_then(|map| map.get(key))
        .cloned()
        .unwrap_or_default()
}

/// A line each: `key="value"`, without a newline at the end.
fn all(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
