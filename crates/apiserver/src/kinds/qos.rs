//! QoS class of a pod, which orders evictions under resource pressure.

use component_helpers::quantity::milli_value;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

/// Resources that determine the class.
const RESOURCES: [&str; 2] = ["cpu", "memory"];

/// Returns a container's quantity if it is positive.
fn amount(container: &Value, list: &str, resource: &str) -> Option<i128> {
    let text = container["resources"][list][resource].as_str()?;
    milli_value(&Quantity(text.to_owned())).filter(|amount| *amount > 0)
}

/// Returns the class of a pod spec with its defaults: `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn qos_class(spec: &Value) -> &'static str {
    let lists = ["initContainers", "containers"];
    let containers = lists.iter().filter_map(|list| spec[*list].as_array());
    let containers: Vec<_> = containers.flatten().collect();
    let asks = |container: &&Value| {
        let mut all = RESOURCES.iter().flat_map(|resource| {
            ["requests", "limits"].map(|list| amount(container, list, resource))
        });
        all.any(|amount| amount.is_some())
    };
    let is_sure = |container: &Value| {
        RESOURCES.iter().all(|resource| {
            let limit = amount(container, "limits", resource);
            limit.is_some() && limit == amount(container, "requests", resource)
        })
    };
    if !containers.iter().any(asks) {
        "BestEffort"
    } else if containers.iter().all(|container| is_sure(container)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn class_follows_from_the_requests_and_limits_of_all_containers() {
        let none = json!({});
        let zero = json!({"requests": {"cpu": "0"}});
        let other = json!({"requests": {"ephemeral-storage": "1Gi"}});
        let some = json!({"requests": {"cpu": "100m"}});
        let half = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1"}});
        let whole = json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}});
        let less = json!({"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        for (init, own, expected) in [
            (&none, &none, "BestEffort"),
            (&none, &zero, "BestEffort"),
            (&other, &none, "BestEffort"),
            (&none, &some, "Burstable"),
            (&some, &none, "Burstable"),
            (&half, &half, "Burstable"),
            (&whole, &whole, "Guaranteed"),
            (&none, &whole, "Burstable"),
            (&whole, &less, "Burstable"),
        ] {
            let spec = json!({"initContainers": [{"resources": init}], "containers": [{"resources": own}]});
            assert_eq!(qos_class(&spec), expected, "{spec}");
        }
        let alone = json!({"containers": [{"resources": whole}]});
        assert_eq!(qos_class(&alone), "Guaranteed");
    }
}
