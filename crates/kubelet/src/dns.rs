//! Whom a pod's programs ask for names: `dnsPolicy` and `dnsConfig` as the lines of a `resolv.conf`.

use std::net::Ipv4Addr;

use container_runtime::DnsConfig;
use k8s_openapi::api::core::v1::{Pod, PodDNSConfigOption};

/// Where this machine's own is.
const OF_MACHINE: &str = "/etc/resolv.conf";

/// What is in the pod's file.
pub(super) fn of(pod: &Pod, cluster: Ipv4Addr) -> DnsConfig {
    let policy = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.dns_policy.as_deref());
    let base = match policy.unwrap_or("ClusterFirst") {
        "None" => DnsConfig::default(),
        // A machine without one has no names to offer.
        "Default" => parse(&std::fs::read_to_string(OF_MACHINE).unwrap_or_default()),
        _ => of_cluster(
            pod.metadata.namespace.as_deref().unwrap_or_default(),
            cluster,
        ),
    };
    with_config(base, pod)
}

fn of_cluster(namespace: &str, address: Ipv4Addr) -> DnsConfig {
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

/// What the pod says itself is added; of an option it is the last word.
fn with_config(mut dns: DnsConfig, pod: &Pod) -> DnsConfig {
    let Some(config) = pod.spec.as_ref().and_then(|spec| spec.dns_config.as_ref()) else {
        return dns;
    };
    add(&mut dns.nameservers, config.nameservers.iter().flatten());
    add(&mut dns.searches, config.searches.iter().flatten());
    for option in config.options.iter().flatten() {
        let name = option.name.as_deref().unwrap_or_default();
        dns.options
            .retain(|known| known.split(':').next() != Some(name));
        dns.options.push(text(name, option));
    }
    dns
}

fn add<'a>(list: &mut Vec<String>, more: impl Iterator<Item = &'a String>) {
    for one in more {
        if !list.contains(one) {
            list.push(one.clone());
        }
    }
}

fn text(name: &str, option: &PodDNSConfigOption) -> String {
    match option.value.as_deref() {
        Some(value) if !value.is_empty() => format!("{name}:{value}"),
        _ => name.to_owned(),
    }
}

fn parse(file: &str) -> DnsConfig {
    let mut dns = DnsConfig::default();
    for line in file.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => dns.nameservers.extend(words.next()),
            // Of several lines the last one counts.
            Some("search") => dns.searches = words.collect(),
            Some("options") => dns.options = words.collect(),
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
        let dns = of(&pod, Ipv4Addr::new(10, 96, 0, 10));
        let found = [dns.nameservers, dns.searches, dns.options].map(|list| list.join(" "));
        assert_eq!(found, [nameservers, searches, options], "{spec}");
    }

    #[test]
    fn a_pod_asks_the_cluster_and_whom_it_names_itself() {
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
        let more = format!("{searches} example.org");
        check(
            json!({"dnsConfig": config}),
            "10.96.0.10 1.1.1.1",
            &more,
            "ndots:2 rotate",
        );
        let alone = json!({"dnsPolicy": "None", "dnsConfig": config});
        check(
            alone,
            "1.1.1.1 10.96.0.10",
            "example.org cluster.local",
            "ndots:2 rotate",
        );
    }

    #[test]
    fn a_machines_file_is_read_as_its_resolver_reads_it() {
        let dns = parse(
            "# made by something\nnameserver 192.0.2.1\nsearch old\nnameserver ::1 # x\nsearch a b\noptions edns0 trust-ad\n\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.1", "::1"]);
        assert_eq!(dns.searches, ["a", "b"]);
        assert_eq!(dns.options, ["edns0", "trust-ad"]);
    }
}
