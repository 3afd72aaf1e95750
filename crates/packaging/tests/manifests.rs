//! The manifests: what Kubernetes knows, what fits together, what the probes ask, what a careful cluster admits.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;

use packaging::manifest::{Manifest, OVERLAYS, files, parse, rendered};
use packaging::strict::unknown_fields;
use packaging::{VERSION, repository};
use serde_json::{Value, json};

/// What kustomize makes of every overlay; empty where it cannot be asked.
fn all_rendered() -> Vec<Vec<Manifest>> {
    OVERLAYS.into_iter().filter_map(rendered).collect()
}

fn deployments(manifests: &[Manifest]) -> impl Iterator<Item = &Manifest> {
    manifests.iter().filter(|it| it.is("Deployment"))
}

#[test]
fn kubernetes_knows_every_field() {
    let shipped = files();
    assert!(shipped.len() >= 14, "{}", shipped.len());
    for manifest in shipped.iter().chain(all_rendered().iter().flatten()) {
        let unknown = unknown_fields(&manifest.object);
        assert_eq!(unknown, Ok(Vec::new()), "{}", manifest.name());
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_found() {
    let typo = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"ports": [{"port": 1, "targetport": 2}]}
    });
    let unknown = unknown_fields(&typo);
    assert_eq!(unknown, Ok(vec!["spec.ports.0.targetport".to_owned()]));
}

/// `kubectl apply -f` of a folder takes every .yaml in it for a manifest.
#[test]
fn a_folder_of_the_chapter_holds_nothing_that_kubectl_would_not_apply() {
    for manifest in files() {
        assert!(!manifest.is("Kustomization"), "{}", manifest.name());
        assert!(
            manifest.object["metadata"]["name"].is_string(),
            "{}",
            manifest.name()
        );
    }
}

#[test]
fn images_are_named_alike_everywhere_and_by_their_version() {
    let allowed = |image: &str| {
        let plain = image.strip_prefix("localhost:5001/").unwrap_or(image);
        plain == "postgres:15-alpine"
            || plain == format!("selfheal/numbers-api:{VERSION}")
            || plain == format!("selfheal/todo-web:{VERSION}")
            || plain == format!("selfheal/probe-sidecar:{VERSION}")
    };
    let mut seen = 0;
    for manifest in files().iter().chain(all_rendered().iter().flatten()) {
        for container in manifest.containers() {
            let image = container["image"].as_str().unwrap();
            assert!(allowed(image), "{}: {image}", manifest.name());
            seen += 1;
        }
    }
    assert!(seen >= 8, "{seen}");
}

fn labels_match(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn a_deployments_selector_selects_its_pods() {
    for manifest in deployments(&files()) {
        let spec = &manifest.object["spec"];
        let labels = &spec["template"]["metadata"]["labels"];
        let selector = &spec["selector"]["matchLabels"];
        assert!(labels_match(selector, labels), "{}", manifest.name());
    }
}

#[test]
fn a_service_has_one_deployment_which_has_the_port_that_it_names() {
    for manifests in all_rendered() {
        for service in manifests.iter().filter(|it| it.is("Service")) {
            let behind: Vec<_> = deployments(&manifests)
                .filter(|it| {
                    let labels = &it.object["spec"]["template"]["metadata"]["labels"];
                    labels_match(&service.object["spec"]["selector"], labels)
                })
                .collect();
            assert_eq!(behind.len(), 1, "{}", service.name());
            let target = &service.object["spec"]["ports"][0]["targetPort"];
            assert!(has_port(behind[0], target), "{}: {target}", service.name());
        }
    }
}

/// Whether a container has a port of this name or number.
fn has_port(deployment: &Manifest, port: &Value) -> bool {
    let ports = deployment.containers().iter();
    ports
        .flat_map(|container| container["ports"].as_array().unwrap())
        .any(|known| known["name"] == *port || known["containerPort"] == *port)
}

fn number(probe: &Value, field: &str, default: i64) -> i64 {
    probe[field].as_i64().unwrap_or(default)
}

#[test]
fn what_is_deployed_is_probed_for_both_and_restarted_no_sooner_than_taken_out_of_service() {
    for manifests in all_rendered() {
        for deployment in deployments(&manifests) {
            for container in deployment.containers() {
                let patience = |name: &str| {
                    let probe = &container[name];
                    assert!(probe.is_object(), "{}: no {name}", deployment.name());
                    let period = number(probe, "periodSeconds", 10);
                    assert!(number(probe, "timeoutSeconds", 1) <= period);
                    for action in ["httpGet", "tcpSocket"] {
                        let port = &probe[action]["port"];
                        assert!(port.is_null() || has_port(deployment, port));
                    }
                    period * number(probe, "failureThreshold", 3)
                };
                let (ready, live) = (patience("readinessProbe"), patience("livenessProbe"));
                assert!(live >= ready, "{}: {live} < {ready}", deployment.name());
            }
        }
    }
}

#[test]
fn the_kind_overlays_node_ports_are_those_that_the_cluster_maps_to_the_host() {
    let Some(manifests) = rendered("overlays/kind") else {
        return;
    };
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
    for service in manifests.iter().filter(|it| it.is("Service")) {
        let port = &service.object["spec"]["ports"][0];
        if service.object["spec"]["type"] == "NodePort" {
            served.insert(port["nodePort"].as_i64(), port["port"].as_i64());
        }
    }
    assert_eq!(served, mapped);
}

/// The rules of the pod security standard "restricted", for what these manifests have.
#[test]
fn the_hardened_overlay_is_admitted_where_pods_are_restricted() {
    for deployment in deployments(&rendered("overlays/hardened").unwrap_or_default()) {
        let name = deployment.name();
        let pod = &deployment.pod()["securityContext"];
        assert_eq!(pod["runAsNonRoot"], true, "{name}");
        assert!(pod["runAsUser"].as_i64().unwrap() > 0, "{name}");
        assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(deployment.pod()["automountServiceAccountToken"], false);
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(deployment.pod()[host].is_null(), "{name}");
        }
        for container in deployment.containers() {
            let own = &container["securityContext"];
            assert_eq!(own["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(own["readOnlyRootFilesystem"], true, "{name}");
            assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}), "{name}");
            for bound in ["requests", "limits"] {
                let bound = &container["resources"][bound];
                assert!(bound["cpu"].is_string() && bound["memory"].is_string());
            }
        }
    }
}

#[test]
fn the_hardened_overlays_replicas_are_spread_and_no_drain_takes_the_last() {
    let manifests = rendered("overlays/hardened").unwrap_or_default();
    for deployment in deployments(&manifests) {
        let spec = &deployment.object["spec"];
        if number(spec, "replicas", 1) < 2 {
            continue;
        }
        let labels = &spec["template"]["metadata"]["labels"];
        let selects = |selector: &Value| labels_match(&selector["matchLabels"], labels);
        let spread = &deployment.pod()["topologySpreadConstraints"][0];
        assert!(selects(&spread["labelSelector"]), "{}", deployment.name());
        let budgets = manifests.iter().filter(|it| it.is("PodDisruptionBudget"));
        let own = budgets.filter(|it| selects(&it.object["spec"]["selector"]));
        assert_eq!(own.count(), 1, "{}", deployment.name());
    }
}

#[test]
fn the_hardened_overlay_lets_nothing_through_that_no_policy_names() {
    let Some(manifests) = rendered("overlays/hardened") else {
        return;
    };
    let policies: Vec<_> = manifests
        .iter()
        .filter(|it| it.is("NetworkPolicy"))
        .map(|it| &it.object["spec"])
        .collect();
    let closed = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
    assert!(policies.contains(&&closed));
    for policy in policies {
        for (rules, ends) in [("ingress", "from"), ("egress", "to")] {
            for rule in policy[rules].as_array().into_iter().flatten() {
                assert!(rule["ports"].is_array(), "every port: {policy}");
                assert!(rules == "ingress" || rule[ends].is_array(), "{policy}");
            }
        }
    }
}
