//! Manifests: fields, labels and selectors, images, probes, node ports.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use selfheal_packaging::manifest::{Manifest, OVERLAYS, applicable_files, parse, render};
use selfheal_packaging::strict::unknown_fields;
use selfheal_packaging::{VERSION, repository};
use serde_json::{Value, json};

/// Renders every overlay; returns none, and records the test as skipped, without kubectl.
fn render_all() -> Vec<Vec<Manifest>> {
    OVERLAYS.into_iter().filter_map(render).collect()
}

/// Selects Deployments and StatefulSets.
fn workloads(manifests: &[Manifest]) -> impl Iterator<Item = &Manifest> {
    let is_workload = |it: &&Manifest| it.is_kind("Deployment") || it.is_kind("StatefulSet");
    manifests.iter().filter(is_workload)
}

/// Returns the labels of the pod template.
fn pod_labels(workload: &Manifest) -> &Value {
    &workload.object["spec"]["template"]["metadata"]["labels"]
}

#[test]
fn manifests_have_only_fields_of_their_kinds() {
    let shipped = applicable_files();
    assert!(shipped.len() >= 14, "{}", shipped.len());
    for manifest in shipped.iter().chain(render_all().iter().flatten()) {
        let unknown = unknown_fields(&manifest.object);
        assert_eq!(unknown, Ok(Vec::new()), "{}", manifest.name());
    }
}

#[test]
fn unknown_field_of_a_manifest_is_found() {
    let typo = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 1, "targetport": 2}]}
    });
    let unknown = unknown_fields(&typo);
    assert_eq!(unknown, Ok(vec!["spec.ports.0.targetport".to_owned()]));
}

/// `kubectl apply -f DIR` treats every .yaml file as a manifest.
#[test]
fn directories_of_the_chapter_contain_only_objects_that_kubectl_applies() {
    for manifest in applicable_files() {
        assert!(!manifest.is_kind("Kustomization"), "{}", manifest.name());
        assert!(
            manifest.object["metadata"]["name"].is_string(),
            "{}",
            manifest.name()
        );
    }
}

#[test]
fn image_of_every_container_is_one_of_this_project_or_the_official_postgres() {
    let programs = ["numbers-api", "todo-web", "probe-sidecar", "pg-ready"];
    let is_allowed = |image: &str| {
        let is_own = |program| image == format!("localhost/selfheal/{program}:{VERSION}");
        image == "postgres:15-alpine" || programs.into_iter().any(is_own)
    };
    let mut seen = 0;
    for manifest in applicable_files()
        .iter()
        .chain(render_all().iter().flatten())
    {
        for container in manifest.all_containers() {
            let image = container["image"].as_str().unwrap();
            assert!(is_allowed(image), "{}: {image}", manifest.name());
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

#[test]
fn workload_of_every_overlay_has_the_recommended_labels_beside_the_chapters() {
    for workload in render_all().iter().flat_map(|it| workloads(it)) {
        let name = workload.name();
        for labels in [&workload.object["metadata"]["labels"], pod_labels(workload)] {
            let label = |key: &str| &labels[format!("app.kubernetes.io/{key}")];
            for key in ["name", "instance", "component"] {
                assert!(label(key).is_string(), "{name}: {key}");
            }
            assert_eq!(label("part-of"), "selfheal", "{name}");
            assert_eq!(label("managed-by"), "kustomize", "{name}");
            let is_postgres = label("name") == "postgresql";
            let version = if is_postgres { "15" } else { VERSION };
            assert_eq!(label("version"), version, "{name}");
        }
        assert!(pod_labels(workload)["app"].is_string(), "{name}");
    }
}

#[test]
fn sidecar_overlay_deploys_every_program_and_probes_the_database_through_the_sidecar() {
    let Some(manifests) = render("overlays/sidecar") else {
        return;
    };
    let images: BTreeSet<_> = workloads(&manifests)
        .flat_map(Manifest::all_containers)
        .map(|container| container["image"].as_str().unwrap().to_owned())
        .collect();
    for program in ["numbers-api", "todo-web", "probe-sidecar", "pg-ready"] {
        assert!(images.contains(&format!("localhost/selfheal/{program}:{VERSION}")));
    }
    let find = |app: &str| workloads(&manifests).find(|it| pod_labels(it)["app"] == app);
    let database = find("todo-db").unwrap();
    let shipped = applicable_files();
    let standalone = shipped
        .iter()
        .find(|it| it.source == "sidecar/todo-db/todo-db.yaml");
    assert_eq!(database.pod_spec(), standalone.unwrap().pod_spec());
    let healed = find("numbers-healed").unwrap();
    for container in healed.containers() {
        let kubelet_probe = container.get("livenessProbe");
        assert!(kubelet_probe.or(container.get("readinessProbe")).is_none());
    }
}

fn labels_match(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn selector_of_every_workload_selects_its_pods() {
    let (shipped, rendered) = (applicable_files(), render_all());
    let all = rendered.iter().chain([&shipped]);
    for manifest in all.flat_map(|it| workloads(it)) {
        let selector = &manifest.object["spec"]["selector"]["matchLabels"];
        let labels = pod_labels(manifest);
        assert!(labels_match(selector, labels), "{}", manifest.name());
    }
}

#[test]
fn service_of_every_overlay_selects_one_workload_which_has_its_port() {
    for manifests in render_all() {
        for service in manifests.iter().filter(|it| it.is_kind("Service")) {
            let selector = &service.object["spec"]["selector"];
            let selected: Vec<_> = workloads(&manifests)
                .filter(|it| labels_match(selector, pod_labels(it)))
                .collect();
            assert_eq!(selected.len(), 1, "{}", service.name());
            let target = &service.object["spec"]["ports"][0]["targetPort"];
            assert!(
                has_port(selected[0], target),
                "{}: {target}",
                service.name()
            );
        }
    }
}

/// Returns `true` if a container has a port with this name or number.
fn has_port(workload: &Manifest, port: &Value) -> bool {
    let containers = workload.containers().iter();
    containers
        .flat_map(|container| container["ports"].as_array().unwrap())
        .any(|known| known["name"] == *port || known["containerPort"] == *port)
}

fn number_or(probe: &Value, field: &str, default: i64) -> i64 {
    probe[field].as_i64().unwrap_or(default)
}

#[test]
fn kubelet_probes_of_every_application_restart_no_sooner_than_they_make_unready() {
    for workload in render_all().iter().flat_map(|it| workloads(it)) {
        // Its sidecar probes it instead.
        if pod_labels(workload)["app"] == "numbers-healed" {
            continue;
        }
        let is_application = |it: &&Value| it["name"] != "probes";
        for container in workload.containers().iter().filter(is_application) {
            let seconds_to_fail = |name: &str| {
                let probe = &container[name];
                assert!(probe.is_object(), "{}: no {name}", workload.name());
                let period = number_or(probe, "periodSeconds", 10);
                assert!(number_or(probe, "timeoutSeconds", 1) <= period);
                for action in ["httpGet", "tcpSocket"] {
                    let port = &probe[action]["port"];
                    assert!(port.is_null() || has_port(workload, port));
                }
                period * number_or(probe, "failureThreshold", 3)
            };
            let ready = seconds_to_fail("readinessProbe");
            let live = seconds_to_fail("livenessProbe");
            assert!(live >= ready, "{}: {live} < {ready}", workload.name());
        }
    }
}

#[test]
fn node_ports_of_the_kind_overlay_are_those_that_kind_maps_to_the_host() {
    let Some(manifests) = render("overlays/kind") else {
        return;
    };
    let services_of_type = |kind: &'static str| {
        manifests
            .iter()
            .filter(move |it| it.object["spec"]["type"] == kind)
    };
    assert_eq!(services_of_type("LoadBalancer").count(), 0);
    let config = std::fs::read_to_string(repository().join("k8s/deploy/kind.yaml")).unwrap();
    let config = &parse(&config)[0];
    let mut mapped = BTreeMap::new();
    for mapping in config["nodes"][0]["extraPortMappings"].as_array().unwrap() {
        mapped.insert(
            mapping["containerPort"].as_i64(),
            mapping["hostPort"].as_i64(),
        );
    }
    let mut served = BTreeMap::new();
    for service in services_of_type("NodePort") {
        let port = &service.object["spec"]["ports"][0];
        served.insert(port["nodePort"].as_i64(), port["port"].as_i64());
    }
    assert_eq!(served, mapped);
}

/// Applying the chapter's service to a deployed cluster must keep the address of its application.
#[test]
fn node_port_of_every_service_is_the_same_in_every_file_and_overlay_but_the_hardened_one() {
    let mut ports: BTreeMap<String, BTreeSet<Option<i64>>> = BTreeMap::new();
    let (shipped, rendered) = (applicable_files(), render_all());
    let all = rendered.iter().chain([&shipped]).flatten();
    for service in all.filter(|it| it.source != "overlays/hardened") {
        if service.is_kind("Service") && service.object["spec"]["type"] != "ClusterIP" {
            let name = service.object["metadata"]["name"].as_str().unwrap();
            let port = service.object["spec"]["ports"][0]["nodePort"].as_i64();
            ports.entry(name.to_owned()).or_default().insert(port);
        }
    }
    assert!(ports.len() >= 5, "{ports:?}");
    for (name, ports) in ports {
        assert!(
            ports.len() == 1 && !ports.contains(&None),
            "{name}: {ports:?}"
        );
    }
}
