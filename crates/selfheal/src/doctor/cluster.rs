//! Checks of a cluster before exercises run on it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::{Namespace, Node, Service};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt as _};

use super::{Finding, Status, permissions};
use crate::exercise::apply::Applier;
use crate::exercise::{Exercise, manifests};
use crate::preflight::{Obstacle, Preflight};

/// Cluster and options of the checks.
pub(crate) struct ClusterChecks<'a> {
    pub(crate) client: Client,
    /// Namespace that was requested; `None` for a new one.
    pub(crate) namespace: Option<&'a str>,
    /// `true` if services are called at their load balancers.
    pub(crate) has_load_balancers: bool,
}

/// A service of the cluster with a load balancer port on an address that services share.
struct SharedPort {
    port: u16,
    service: String,
    address: String,
}

impl ClusterChecks<'_> {
    /// Obstacles of the exercises on this cluster.
    ///
    /// # Errors
    /// When the API server does not answer or a permission is missing: no exercise can run.
    pub(crate) async fn preflight(&self, exercises: &[Exercise]) -> anyhow::Result<Preflight> {
        let missing = self.missing_permissions().await?;
        if !missing.is_empty() {
            bail!("{}", permissions_text(&missing, self.namespace));
        }
        let mut preflight = Preflight::default();
        let shared_ports = self.shared_ports().await?.unwrap_or_default();
        for exercise in exercises {
            if let Some(text) = conflict(exercise, &shared_ports)? {
                preflight.add(exercise, Obstacle::Conflict(text));
            }
        }
        Ok(preflight)
    }

    /// Findings for `doctor`.
    pub(crate) async fn findings(&self, exercises: &[Exercise]) -> Vec<Finding> {
        let version = match self.client.apiserver_version().await {
            Ok(version) => version.git_version,
            Err(error) => {
                return vec![Finding::new(
                    "API server",
                    Status::Failed,
                    error.to_string(),
                )];
            }
        };
        let mut findings = vec![Finding::new("API server", Status::Ok, version)];
        findings.push(finding("permissions", self.permissions().await));
        findings.push(finding("objects", self.existing_objects(exercises).await));
        findings.push(finding(
            "load balancers",
            self.load_balancers(exercises).await,
        ));
        findings
    }

    async fn permissions(&self) -> anyhow::Result<(Status, String)> {
        let missing = self.missing_permissions().await?;
        if missing.is_empty() {
            return Ok((
                Status::Ok,
                "the user has all that the exercises need".to_owned(),
            ));
        }
        Ok((Status::Failed, permissions_text(&missing, self.namespace)))
    }

    async fn missing_permissions(&self) -> anyhow::Result<Vec<String>> {
        let exists = self.namespace_exists().await?;
        let namespace = self.namespace.unwrap_or("selfheal-exercise");
        permissions::find_missing(&self.client, namespace, !exists).await
    }

    /// Returns `true` if the namespace exists, or the user has no permission to read it and can only use an existing one.
    async fn namespace_exists(&self) -> anyhow::Result<bool> {
        let Some(name) = self.namespace else {
            return Ok(false);
        };
        match Api::<Namespace>::all(self.client.clone())
            .get_opt(name)
            .await
        {
            Ok(found) => Ok(found.is_some()),
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(true),
            Err(error) => Err(error).with_context(|| format!("reading namespace {name}")),
        }
    }

    async fn existing_objects(&self, exercises: &[Exercise]) -> anyhow::Result<(Status, String)> {
        let Some(namespace) = self.namespace else {
            let text = "the exercises create a new namespace".to_owned();
            return Ok((Status::Ok, text));
        };
        let applier = Applier::new(self.client.clone(), namespace);
        let mut found = BTreeSet::new();
        for exercise in exercises {
            let objects = manifests::applied_objects(exercise)?;
            found.extend(applier.existing(&objects).await?);
        }
        if found.is_empty() {
            return Ok((
                Status::Ok,
                format!("no object of the exercises exists in namespace {namespace}"),
            ));
        }
        let names: Vec<_> = found.into_iter().collect();
        let text = format!(
            "{} in namespace {namespace}; delete them, change them with --force, or omit --namespace",
            names.join(", ")
        );
        Ok((Status::Failed, text))
    }

    async fn load_balancers(&self, exercises: &[Exercise]) -> anyhow::Result<(Status, String)> {
        if !self.has_load_balancers {
            let text = "not needed with --node-address".to_owned();
            return Ok((Status::Ok, text));
        }
        let Some(shared_ports) = self.shared_ports().await? else {
            let text = "no permission to list all services".to_owned();
            return Ok((Status::Warning, text));
        };
        for exercise in exercises {
            if let Some(text) = conflict(exercise, &shared_ports)? {
                return Ok((Status::Failed, text));
            }
        }
        Ok((Status::Ok, "the ports are free".to_owned()))
    }

    /// Returns load balancer ports on the addresses of nodes or on the loopback address, which services share; `None` without the
    /// permission to list services. A service with an address of its own is not in conflict with others.
    async fn shared_ports(&self) -> anyhow::Result<Option<Vec<SharedPort>>> {
        if !self.has_load_balancers {
            return Ok(Some(Vec::new()));
        }
        let services = Api::<Service>::all(self.client.clone());
        let services = match services.list(&ListParams::default()).await {
            Ok(services) => services,
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(None),
            Err(error) => return Err(error).context("listing services"),
        };
        let nodes = self.node_addresses().await?;
        let in_exercise = |service: &Service| {
            self.namespace.is_some() && service.namespace().as_deref() == self.namespace
        };
        let mut ports = Vec::new();
        for service in services.into_iter().filter(|service| !in_exercise(service)) {
            let shared = ingress_addresses(&service).find(|ip| is_shared(ip, &nodes));
            if let Some(address) = shared {
                ports.extend(load_balancer_ports(&service, &address));
            }
        }
        Ok(Some(ports))
    }

    async fn node_addresses(&self) -> anyhow::Result<BTreeSet<String>> {
        let nodes = Api::<Node>::all(self.client.clone());
        let nodes = match nodes.list(&ListParams::default()).await {
            Ok(nodes) => nodes,
            Err(kube::Error::Api(status)) if status.code == 403 => return Ok(BTreeSet::new()),
            Err(error) => return Err(error).context("listing nodes"),
        };
        let status = nodes.into_iter().filter_map(|node| node.status);
        let addresses = status.flat_map(|status| status.addresses.unwrap_or_default());
        Ok(addresses.map(|address| address.address).collect())
    }
}

fn finding(check: &str, result: anyhow::Result<(Status, String)>) -> Finding {
    let (status, text) = result.unwrap_or_else(|error| (Status::Failed, format!("{error:#}")));
    Finding::new(check, status, text)
}

fn permissions_text(missing: &[String], namespace: Option<&str>) -> String {
    let hint = if missing.iter().any(|text| text.ends_with("namespaces")) {
        "; use a namespace that exists: --namespace NAME"
    } else {
        ""
    };
    let scope = namespace.map_or_else(String::new, |name| format!(" (namespace {name})"));
    format!("this user may not{scope}: {}{hint}", missing.join(", "))
}

fn ingress_addresses(service: &Service) -> impl Iterator<Item = String> {
    let status = service.status.as_ref();
    let balancer = status.and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer
        .into_iter()
        .flat_map(|balancer| balancer.ingress.iter().flatten());
    ingress.filter_map(|ingress| ingress.ip.clone())
}

fn is_shared(ip: &str, nodes: &BTreeSet<String>) -> bool {
    nodes.contains(ip) || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn load_balancer_ports(service: &Service, address: &str) -> Vec<SharedPort> {
    let name = format!(
        "{}/{}",
        service.namespace().unwrap_or_default(),
        service.name_any()
    );
    let ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let shared = |port: &k8s_openapi::api::core::v1::ServicePort| {
        Some(SharedPort {
            port: u16::try_from(port.port).ok()?,
            service: name.clone(),
            address: address.to_owned(),
        })
    };
    ports.filter_map(shared).collect()
}

/// Returns the conflict of an exercise's load balancer with one of the cluster.
fn conflict(exercise: &Exercise, shared_ports: &[SharedPort]) -> anyhow::Result<Option<String>> {
    for (port, service) in manifests::load_balancer_ports(exercise)? {
        if let Some(other) = shared_ports.iter().find(|shared| shared.port == port) {
            let is_loopback = other
                .address
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
            // The embedded node does not serve node ports of load balancers on the loopback address.
            let hint = if is_loopback {
                String::new()
            } else {
                let address = &other.address;
                format!(", or call services at their node ports: --node-address {address}")
            };
            let used_by = &other.service;
            return Ok(Some(format!(
                "service {service} needs load balancer port {port}, which service {used_by} uses; delete that service{hint}"
            )));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exercise::catalog;

    fn service(ip: &str) -> Service {
        serde_json::from_value(json!({
            "metadata": {"namespace": "default", "name": "numbers-api"},
            "spec": {"ports": [{"port": 8013}]},
            "status": {"loadBalancer": {"ingress": [{"ip": ip}]}},
        }))
        .unwrap()
    }

    #[test]
    fn load_balancer_addresses_of_nodes_and_loopback_are_shared() {
        let nodes = BTreeSet::from(["10.0.0.2".to_owned()]);
        for (ip, shared) in [
            ("127.0.0.1", true),
            ("10.0.0.2", true),
            ("203.0.113.7", false),
        ] {
            let service = service(ip);
            let mut addresses = ingress_addresses(&service);
            assert_eq!(addresses.any(|ip| is_shared(&ip, &nodes)), shared, "{ip}");
        }
    }

    #[test]
    fn exercise_conflicts_with_a_service_on_its_port() {
        let select = |name: &str| catalog::select(&[name.to_owned()]).unwrap().remove(0);
        for (address, advice) in [
            ("127.0.0.1", "delete that service"),
            ("10.0.0.2", "at their node ports: --node-address 10.0.0.2"),
        ] {
            let shared_ports = load_balancer_ports(&service(address), address);
            let text = conflict(&select("liveness"), &shared_ports)
                .unwrap()
                .unwrap();
            assert!(
                text.contains("8013, which service default/numbers-api"),
                "{text}"
            );
            assert!(text.ends_with(advice), "{text}");
            assert_eq!(conflict(&select("todo"), &shared_ports).unwrap(), None);
        }
    }

    #[test]
    fn missing_permission_for_namespaces_recommends_an_existing_one() {
        let missing = ["create namespaces".to_owned()];
        let text = permissions_text(&missing, None);
        let expected =
            "this user may not: create namespaces; use a namespace that exists: --namespace NAME";
        assert_eq!(text, expected);
        let missing = ["create services".to_owned()];
        let text = permissions_text(&missing, Some("x"));
        assert_eq!(text, "this user may not (namespace x): create services");
    }
}
