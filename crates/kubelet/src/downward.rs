//! Downward API: a pod's fields and the resources of its containers, as values of variables and files.

use std::collections::BTreeMap;

use component_helpers::quantity;
use k8s_openapi::api::core::v1::{
    Container, ObjectFieldSelector, Pod, ResourceFieldSelector, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use probe::spec::field::quote;

/// Error of the downward API.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownwardError {
    /// The `fieldPath` is not supported.
    #[error("unsupported fieldPath: {0}")]
    Field(String),
    /// The resource is not supported.
    #[error("unsupported container resource : {0}")]
    Resource(String),
    /// The pod has no such container.
    #[error("container {0} not found")]
    Container(String),
    /// The value is not a quantity.
    #[error("{field}: Invalid value: {value:?}: not a quantity")]
    Quantity { field: String, value: String },
}

/// A pod and the values that the node adds to it.
pub(super) struct DownwardContext<'a> {
    pub(super) pod: &'a Pod,
    pub(super) pod_ip: String,
    pub(super) node_ip: &'a str,
    /// Allocatable resources of the node: the limit of a container that has none.
    pub(super) allocatable: &'a BTreeMap<String, Quantity>,
}

impl DownwardContext<'_> {
    /// Returns the value of a `fieldRef`.
    pub(super) fn field_value(
        &self,
        selector: &ObjectFieldSelector,
    ) -> Result<String, DownwardError> {
        let path = selector.field_path.as_str();
        let (meta, spec) = (&self.pod.metadata, self.pod.spec.as_ref());
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let key = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("']");
        Ok(match path {
            "metadata.name" => text(&meta.name),
            "metadata.namespace" => text(&meta.namespace),
            "metadata.uid" => text(&meta.uid),
            "metadata.labels" => format_map(meta.labels.as_ref()),
            "metadata.annotations" => format_map(meta.annotations.as_ref()),
            "spec.nodeName" => spec.map(|spec| text(&spec.node_name)).unwrap_or_default(),
            "spec.serviceAccountName" => spec
                .map(|spec| text(&spec.service_account_name))
                .unwrap_or_default(),
            "status.podIP" | "status.podIPs" => self.pod_ip.clone(),
            "status.hostIP" | "status.hostIPs" => self.node_ip.to_owned(),
            _ => match (key("metadata.labels['"), key("metadata.annotations['")) {
                (Some(label), _) => map_value(meta.labels.as_ref(), label),
                (None, Some(annotation)) => map_value(meta.annotations.as_ref(), annotation),
                (None, None) => return Err(DownwardError::Field(path.to_owned())),
            },
        })
    }

    /// Returns the value of a `resourceFieldRef` of a volume, which names its container.
    pub(super) fn resource_of_named_container(
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
        self.resource_value(container, selector)
    }

    /// Returns the value of a `resourceFieldRef` of `container`, in units of its divisor and rounded up.
    pub(super) fn resource_value(
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
        let quantity = match list {
            "requests" => find_quantity(resources, |all| all.requests.as_ref(), resource),
            "limits" => find_quantity(resources, |all| all.limits.as_ref(), resource)
                .filter(|limit| quantity::milli_value(limit) != Some(0))
                .or_else(|| self.allocatable.get(resource)),
            _ => return Err(unsupported()),
        };
        let zero = Quantity("0".to_owned());
        let amount = to_units(quantity.unwrap_or(&zero), resource, &selector.resource)?;
        let divisor = match &selector.divisor {
            Some(divisor) => to_units(divisor, resource, "divisor")?,
            None => 0,
        };
        // A divisor of 0 (the default) means 1.
        let one = if resource == "cpu" { 1000 } else { 1 };
        let divisor = if divisor == 0 { one } else { divisor };
        Ok(((amount + divisor - 1) / divisor).to_string())
    }
}

/// Converts a quantity to an integer: CPUs to thousandths, other resources to whole units.
fn to_units(amount: &Quantity, resource: &str, field: &str) -> Result<i128, DownwardError> {
    let units = if resource == "cpu" {
        quantity::milli_value(amount)
    } else {
        quantity::value(amount)
    };
    units.ok_or_else(|| DownwardError::Quantity {
        field: field.to_owned(),
        value: amount.0.clone(),
    })
}

fn find_quantity<'a>(
    resources: Option<&'a ResourceRequirements>,
    list: fn(&'a ResourceRequirements) -> Option<&'a BTreeMap<String, Quantity>>,
    name: &str,
) -> Option<&'a Quantity> {
    list(resources?)?.get(name)
}

fn map_value(map: Option<&BTreeMap<String, String>>, key: &str) -> String {
    map.and_then(|map| map.get(key))
        .cloned()
        .unwrap_or_default()
}

/// Formats a map as lines `key="value"`, without a newline at the end.
fn format_map(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", quote(value)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests;
