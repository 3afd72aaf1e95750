//! Warnings about images that the node cannot run, when a pod or a pod template is created.
//!
//! A cluster that pulls images learns this later, from the registry. Here kubectl prints it immediately, instead of waiting
//! for a pod that cannot start.

use std::collections::BTreeSet;

use axum::response::Response;
use http::HeaderValue;
use http::header::WARNING;
use serde_json::Value;

use super::Api;

/// Pointers to the pod specs of pods and of objects with a pod template.
const POD_SPECS: [&str; 2] = ["/spec", "/spec/template/spec"];

/// Appends a warning header for each image in `object` that the runtime cannot resolve.
pub(super) async fn append(api: &Api, object: &Value, mut response: Response) -> Response {
    let Some(runtime) = &api.runtime else {
        return response;
    };
    for image in images(object) {
        if let Err(error) = runtime.resolve_image(image).await
            && let Ok(value) = HeaderValue::from_str(&format!("299 - {:?}", error.to_string()))
        {
            response.headers_mut().append(WARNING, value);
        }
    }
    response
}

fn images(object: &Value) -> BTreeSet<&str> {
    let specs = POD_SPECS.iter().filter_map(|path| object.pointer(path));
    specs
        .flat_map(|spec| [&spec["initContainers"], &spec["containers"]])
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|container| container["image"].as_str())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_of_pods_and_of_pod_templates_are_found_once() {
        let spec = json!({
            "initContainers": [{"name": "i", "image": "busybox"}],
            "containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "nginx"}, {"name": "c"}],
        });
        let expected = BTreeSet::from(["busybox", "nginx"]);
        assert_eq!(images(&json!({"kind": "Pod", "spec": spec})), expected);
        let deployment = json!({"kind": "Deployment", "spec": {"template": {"spec": spec}}});
        assert_eq!(images(&deployment), expected);
        assert!(images(&json!({"kind": "Service", "spec": {"ports": []}})).is_empty());
    }
}
