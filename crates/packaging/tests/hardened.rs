//! The hardened overlay: pod security, credentials, the database's transport and volume, disruptions, network policies.

#![expect(clippy::unwrap_used, reason = "a test")]

use selfheal_packaging::manifest::{Manifest, applicable_files, render};
use serde_json::{Value, json};

/// Objects of the overlay; empty, and the test is recorded as skipped, without kubectl.
fn hardened() -> Vec<Manifest> {
    render("overlays/hardened").unwrap_or_default()
}

fn workloads(manifests: &[Manifest]) -> impl Iterator<Item = &Manifest> {
    let is_workload = |it: &&Manifest| it.is_kind("Deployment") || it.is_kind("StatefulSet");
    manifests.iter().filter(is_workload)
}

fn find<'a>(manifests: &'a [Manifest], kind: &str, name: &str) -> Option<&'a Manifest> {
    let has_name = |it: &&Manifest| it.is_kind(kind) && it.object["metadata"]["name"] == name;
    manifests.iter().find(has_name)
}

fn labels_match(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels[key] == *value)
}

/// Rules of the pod security standard "restricted" for the fields that these manifests have.
#[test]
fn workload_of_the_hardened_overlay_meets_pod_security_restricted() {
    for workload in workloads(&hardened()) {
        let name = workload.name();
        let pod = &workload.pod_spec()["securityContext"];
        assert_eq!(pod["runAsNonRoot"], true, "{name}");
        let is_postgres = workload.is_kind("StatefulSet");
        let user = if is_postgres { 70 } else { 65532 };
        assert_eq!(pod["runAsUser"], user, "{name}");
        assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        assert_eq!(workload.pod_spec()["automountServiceAccountToken"], false);
        for host in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(workload.pod_spec()[host].is_null(), "{name}");
        }
        for container in workload.all_containers() {
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
fn credentials_of_the_hardened_overlay_are_in_no_file() {
    let manifests = hardened();
    assert!(!manifests.iter().any(|it| it.is_kind("Secret")));
    let shipped = applicable_files();
    let sample = find(&shipped, "Secret", "todo-db-secret").unwrap();
    let sample = sample.object["stringData"]["POSTGRES_PASSWORD"].as_str();
    for manifest in &manifests {
        let text = manifest.object.to_string();
        assert!(!text.contains(sample.unwrap()), "{}", manifest.name());
        for container in manifest.all_containers() {
            for variable in container["env"].as_array().into_iter().flatten() {
                let name = variable["name"].as_str().unwrap();
                assert!(!name.contains("PASSWORD") || name.ends_with("_FILE"));
            }
        }
    }
}

#[test]
fn secrets_mounted_in_the_hardened_overlay_are_those_that_create_secrets_generates() {
    let script = selfheal_packaging::repository().join("k8s/deploy/create-secrets");
    let script = std::fs::read_to_string(script).unwrap();
    for workload in workloads(&hardened()) {
        for volume in workload.pod_spec()["volumes"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let Some(name) = volume["secret"]["secretName"].as_str() else {
                continue;
            };
            assert!(script.contains(&format!("create {name} ")), "{name}");
            for item in volume["secret"]["items"].as_array().unwrap() {
                let key = item["key"].as_str().unwrap();
                assert!(script.contains(key), "{name}: {key}");
            }
        }
    }
}

#[test]
fn database_of_the_hardened_overlay_has_one_pod_at_a_time_and_a_volume_claim() {
    let manifests = hardened();
    if manifests.is_empty() {
        return;
    }
    assert!(find(&manifests, "Deployment", "todo-db").is_none());
    let database = find(&manifests, "StatefulSet", "todo-db").unwrap();
    assert_eq!(database.object["spec"]["replicas"], 1);
    let claim = &database.object["spec"]["volumeClaimTemplates"][0];
    let container = &database.containers()[0];
    let mounts = container["volumeMounts"].as_array().unwrap();
    let is_claim = |it: &&Value| it["name"] == claim["metadata"]["name"];
    let mount = mounts.iter().find(is_claim).unwrap();
    let variables = container["env"].as_array().unwrap();
    let is_data = |it: &&Value| it["name"] == "PGDATA";
    let data = variables.iter().find(is_data).unwrap();
    let data = data["value"].as_str().unwrap();
    assert!(data.starts_with(mount["mountPath"].as_str().unwrap()));
}

#[test]
fn database_of_the_hardened_overlay_admits_only_the_application_and_only_over_tls() {
    let manifests = hardened();
    if manifests.is_empty() {
        return;
    }
    let database = find(&manifests, "StatefulSet", "todo-db").unwrap();
    let arguments = &database.containers()[0]["args"];
    let arguments = arguments.as_array().unwrap();
    assert!(arguments.contains(&json!("ssl=on")), "{arguments:?}");
    let scripts = &find(&manifests, "ConfigMap", "todo-db-init")
        .unwrap()
        .object["data"];
    let rules = scripts["20-require-tls.sh"].as_str().unwrap();
    let over_network: Vec<Vec<&str>> = rules
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.first().is_some_and(|it| it.starts_with("host")))
        .filter(|words| !["127.0.0.1/32", "::1/128"].contains(&words[3]))
        .collect();
    let application = ["hostssl", "todo", "todo", "all", "scram-sha-256"];
    assert_eq!(over_network, [application]);
    let role = scripts["10-application-role.sql"].as_str().unwrap();
    for attribute in ["NOSUPERUSER", "NOCREATEDB", "NOCREATEROLE"] {
        assert!(role.contains(attribute), "{attribute}");
    }
}

#[test]
fn replicas_of_the_hardened_overlay_are_spread_and_have_a_disruption_budget() {
    let manifests = hardened();
    for workload in workloads(&manifests) {
        let spec = &workload.object["spec"];
        if spec["replicas"].as_i64().unwrap_or(1) < 2 {
            continue;
        }
        let labels = &spec["template"]["metadata"]["labels"];
        let selects = |selector: &Value| labels_match(&selector["matchLabels"], labels);
        let spread = &workload.pod_spec()["topologySpreadConstraints"][0];
        assert!(selects(&spread["labelSelector"]), "{}", workload.name());
        let budgets = manifests
            .iter()
            .filter(|it| it.is_kind("PodDisruptionBudget"));
        let own = budgets.filter(|it| selects(&it.object["spec"]["selector"]));
        assert_eq!(own.count(), 1, "{}", workload.name());
    }
}

#[test]
fn network_of_the_hardened_overlay_is_closed_except_for_named_ports() {
    let manifests = hardened();
    if manifests.is_empty() {
        return;
    }
    let policies: Vec<_> = manifests
        .iter()
        .filter(|it| it.is_kind("NetworkPolicy"))
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
