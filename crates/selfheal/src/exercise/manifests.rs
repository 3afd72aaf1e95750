//! Objects of the manifests that an exercise applies.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use kube::ResourceExt as _;
use kube::api::DynamicObject;
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use serde_json::Value;

use super::step::Step;
use super::{Exercise, catalog};

/// Parses the objects of a manifest, as `kubectl apply` sends them but without fixed node ports.
///
/// A node port is unique in a cluster: with a fixed one, an exercise could not run beside the deployed application.
pub(crate) fn objects(manifest: &str) -> anyhow::Result<Vec<DynamicObject>> {
    // As kubectl reads it: 0400 is a file mode, not four hundred.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let mut objects: Vec<DynamicObject> =
        serde_saphyr::from_multiple_with_options(manifest, options)
            .context("the manifest is not valid")?;
    objects.iter_mut().for_each(remove_node_ports);
    Ok(objects)
}

fn remove_node_ports(object: &mut DynamicObject) {
    if !is_kind(object, "Service") {
        return;
    }
    let ports = object.data.pointer_mut("/spec/ports");
    for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.remove("nodePort");
        }
    }
}

fn is_kind(object: &DynamicObject, kind: &str) -> bool {
    object
        .types
        .as_ref()
        .is_some_and(|types| types.kind == kind)
}

/// API resource of an object.
pub(crate) fn resource(object: &DynamicObject) -> anyhow::Result<ApiResource> {
    let types: &TypeMeta = object
        .types
        .as_ref()
        .context("the manifest has an object without apiVersion and kind")?;
    Ok(ApiResource::from_gvk(&GroupVersionKind::try_from(types)?))
}

/// Name of an object as kubectl prints it: `deployment.apps/numbers-api`.
pub(crate) fn full_name(object: &DynamicObject) -> anyhow::Result<String> {
    let resource = resource(object)?;
    let group = if resource.group.is_empty() {
        String::new()
    } else {
        format!(".{}", resource.group)
    };
    let kind = resource.kind.to_lowercase();
    Ok(format!("{kind}{group}/{}", object.name_any()))
}

/// Returns the objects that an exercise applies, in the order of its steps.
pub(crate) fn applied_objects(exercise: &Exercise) -> anyhow::Result<Vec<DynamicObject>> {
    let mut all = Vec::new();
    for step in &exercise.steps {
        let Step::Apply(path) = step else { continue };
        for manifest in catalog::manifests(path) {
            all.extend(objects(manifest)?);
        }
    }
    Ok(all)
}

/// Returns the ports of the exercise's services of type LoadBalancer, with the names of the services.
pub(crate) fn load_balancer_ports(exercise: &Exercise) -> anyhow::Result<BTreeMap<u16, String>> {
    let mut found = BTreeMap::new();
    for object in applied_objects(exercise)? {
        let kind = object.data.pointer("/spec/type").and_then(Value::as_str);
        if !is_kind(&object, "Service") || kind != Some("LoadBalancer") {
            continue;
        }
        let ports = object.data.pointer("/spec/ports").and_then(Value::as_array);
        for port in ports.into_iter().flatten() {
            let number = port.get("port").and_then(Value::as_u64);
            if let Some(port) = number.and_then(|port| u16::try_from(port).ok()) {
                found.insert(port, object.name_any());
            }
        }
    }
    Ok(found)
}

/// Returns the images of the exercise's manifests, without those of `set-image` steps, which may be a deliberate mistake.
pub(crate) fn images(exercise: &Exercise) -> anyhow::Result<BTreeSet<String>> {
    let mut images = BTreeSet::new();
    for object in applied_objects(exercise)? {
        for list in ["initContainers", "containers"] {
            let path = format!("/spec/template/spec/{list}");
            let containers = object.data.pointer(&path).and_then(Value::as_array);
            let names = containers.into_iter().flatten();
            let names = names.filter_map(|container| container.get("image")?.as_str());
            images.extend(names.map(str::to_owned));
        }
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exercise(name: &str) -> Exercise {
        catalog::select(&[name.to_owned()]).unwrap().remove(0)
    }

    #[test]
    fn service_with_a_fixed_node_port_is_parsed_without_it() {
        let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 8013, nodePort: 30013}]}\n";
        let objects = objects(manifest).unwrap();
        let ports = objects[0].data.pointer("/spec/ports").unwrap();
        assert_eq!(*ports, serde_json::json!([{"port": 8013}]));
    }

    #[test]
    fn ports_and_images_of_an_exercise_come_from_its_manifests() {
        let ports = |name| load_balancer_ports(&exercise(name)).unwrap();
        assert_eq!(ports("liveness"), [(8013, "numbers-api".to_owned())].into());
        assert_eq!(ports("todo"), [(8081, "todo-web".to_owned())].into());
        let version = env!("CARGO_PKG_VERSION");
        let images = |name| images(&exercise(name)).unwrap();
        assert_eq!(
            images("wrong-image"),
            [format!("localhost/selfheal/numbers-api:{version}")].into()
        );
        let todo = [
            format!("localhost/selfheal/todo-web:{version}"),
            "postgres:15-alpine".to_owned(),
        ];
        assert_eq!(images("todo"), todo.into());
    }
}
