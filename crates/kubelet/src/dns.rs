//! Content of a pod's `resolv.conf`, from `dnsPolicy` and `dnsConfig`.

use std::net::Ipv4Addr;

use container_runtime::DnsConfig;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfigOption};

/// The host's own file, which the policy `Default` uses.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";

/// Returns the DNS configuration of the pod.
pub(super) fn dns_config(pod: &Pod, cluster: Ipv4Addr) -> DnsConfig {
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.dns_policy.as_deref());
    let base = match policy.unwrap_or("ClusterFirst") {
        "None" => DnsConfig::default(),
        // A host without the file has no name servers.
        "Default" => {
            parse_resolv_conf(&std::fs::read_to_string(HOST_RESOLV_CONF).unwrap_or_default())
        }
        _ => cluster_dns_config(
            pod.metadata.namespace.as_deref().unwrap_or_default(),
            cluster,
        ),
    };
    merge_dns_config(base, pod)
}

fn cluster_dns_config(namespace: &str, address: Ipv4Addr) -> DnsConfig {
    DnsConfig {
        nameservers: vec![address.to_string()],
        searches: vec![
            format!("{namespace}.svc.cluster.local"),
            "svc.cluster.local".to_owned(),
            "cluster.local".to_owned(),
        ],
        options: vec!["ndots:5".to_owned()],
    }
}

/// Adds the pod's `dnsConfig` to `dns`. Its options replace those of the same name.
fn merge_dns_config(mut dns: DnsConfig, pod: &Pod) -> DnsConfig {
    let Some(config) = pod.spec.as_ref().and_then(|spec| spec.dns_config.as_ref()) else {
        return dns;
    };
    add_unique(&mut dns.nameservers, config.nameservers.iter().flatten());
    add_unique(&mut dns.searches, config.searches.iter().flatten());
    for option in config.options.iter().flatten() {
        let name = option.name.as_deref().unwrap_or_default();
        dns.options
            .retain(|known| known.split(':').next() != Some(name));
        dns.options.push(format_option(name, option));
    }
    dns
}

fn add_unique<'a>(list: &mut Vec<String>, additions: impl Iterator<Item = &'a String>) {
    for addition in additions {
        if !list.contains(addition) {
            list.push(addition.clone());
        }
    }
}

fn format_option(name: &str, option: &PodDNSConfigOption) -> String {
    match option.value.as_deref() {
        Some(value) if !value.is_empty() => format!("{name}:{value}"),
        _ => name.to_owned(),
    }
}

fn parse_resolv_conf(file: &str) -> DnsConfig {
    let mut dns = DnsConfig::default();
    for line in file.lines() {
        let mut fields = line.split_whitespace().map(str::to_owned);
        match fields.next().as_deref() {
            Some("nameserver") => dns.nameservers.extend(fields.next()),
            // The last `search` line and the last `options` line apply, as in the resolver.
            Some("search") => dns.searches = fields.collect(),
            Some("options") => dns.options = fields.collect(),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(spec: Value, nameservers: &str, searches: &str, options: &str) {
        let mut spec = spec;
        spec["containers"] = json!([]);
        let pod = json!({"metadata": {"name": "p", "namespace": "n"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let dns = dns_config(&pod, Ipv4Addr::new(10, 96, 0, 10));
        let found = [dns.nameservers, dns.searches, dns.options].map(|list| list.join(" "));
        assert_eq!(found, [nameservers, searches, options], "{spec}");
    }

    #[test]
    fn cluster_dns_and_the_pods_dns_config_are_merged() {
        let searches = "n.svc.cluster.local svc.cluster.local cluster.local";
        check(json!({}), "10.96.0.10", searches, "ndots:5");
        check(
            json!({"dnsPolicy": "ClusterFirst"}),
            "10.96.0.10",
            searches,
            "ndots:5",
        );
        let config = json!({
            "nameservers": ["1.1.1.1", "10.96.0.10"], "searches": ["example.org", "cluster.local"],
            "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
        });
        let all_searches = format!("{searches} example.org");
        check(
            json!({"dnsConfig": config}),
            "10.96.0.10 1.1.1.1",
            &all_searches,
            "ndots:2 rotate",
        );
        let without_cluster = json!({"dnsPolicy": "None", "dnsConfig": config});
        check(
            without_cluster,
            "1.1.1.1 10.96.0.10",
            "example.org cluster.local",
            "ndots:2 rotate",
        );
    }

    #[test]
    fn resolv_conf_of_the_host_is_parsed_as_by_the_resolver() {
        let dns = parse_resolv_conf(
            "# made by something\nnameserver 192.0.2.1\nsearch old\nnameserver ::1 # x\nsearch a b\noptions edns0 trust-ad\n\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.1", "::1"]);
        assert_eq!(dns.searches, ["a", "b"]);
        assert_eq!(dns.options, ["edns0", "trust-ad"]);
    }
}
