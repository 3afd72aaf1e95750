//! Host name resolution in which look-ups share nothing, so that one that hangs does not delay another.
//!
//! The system's `getaddrinfo` cannot be cancelled: each abandoned look-up keeps a thread for as long as the name server hangs,
//! and any limit on these threads lets some names starve others. hickory-resolver is asynchronous; when the caller's deadline
//! passes, the look-up is dropped with its sockets. Like Go's resolver in the kubelet it reads `hosts` and `resolv.conf` (name
//! servers, search list, options) and supports no other source of `nsswitch.conf`. A resolver is created for each look-up, so
//! that changed files take effect, and sockets belong to the caller's network namespace and runtime.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, Resolver, system_conf};

/// Resolves host names from `hosts` and with the name servers of `resolv.conf`.
#[derive(Debug)]
pub(crate) struct HostResolver {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    /// Port of the name servers, instead of 53.
    port: Option<u16>,
}

impl HostResolver {
    /// Reads the files below `/etc`.
    pub(crate) fn system() -> Self {
        Self {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            port: None,
        }
    }

    #[cfg(test)]
    pub(super) fn new(hosts: PathBuf, resolv_conf: PathBuf, port: u16) -> Self {
        Self {
            hosts,
            resolv_conf,
            port: Some(port),
        }
    }

    /// Returns the addresses of `host`, IPv4 first.
    ///
    /// # Errors
    /// The error text of Go's resolver.
    pub(super) async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, &'static str> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = Name::from_str_relaxed(host).map_err(|_| "no such host")?;
        let local = self.local_addresses(&name);
        if !local.is_empty() {
            return Ok(local);
        }
        let resolver = self.resolver().map_err(|_| "server misbehaving")?;
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().collect()),
            Err(error) if error.is_nx_domain() || error.is_no_records_found() => {
                Err("no such host")
            }
            Err(NetError::Timeout) => Err("i/o timeout"),
            Err(_) => Err("server misbehaving"),
        }
    }

    /// Returns the addresses that need no name server: those of the hosts file, and loopback for `localhost`.
    fn local_addresses(&self, name: &Name) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        if let Ok(text) = fs::read(&self.hosts) {
            // Invalid lines are ignored, as by Go.
            let _ = hosts.read_hosts_conf(text.as_slice());
        }
        let mut addresses = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
            let answers = found.iter().flat_map(|found| found.answers());
            addresses.extend(answers.filter_map(|record| record.data.ip_addr()));
        }
        if addresses.is_empty() && name.is_localhost() {
            addresses.extend([
                IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::from(Ipv6Addr::LOCALHOST),
            ]);
        }
        addresses
    }

    fn resolver(&self) -> Result<Resolver<TokioRuntimeProvider>, NetError> {
        let text = fs::read(&self.resolv_conf).unwrap_or_default();
        // Without `nameserver` lines the name server of this host is used, as by the C library.
        let (config, mut options) =
            system_conf::parse_resolv_conf(&text).unwrap_or_else(|_| host_name_server());
        let (domain, search, mut servers) = (
            config.domain().cloned(),
            config.search().to_vec(),
            config.name_servers().to_vec(),
        );
        if let Some(port) = self.port {
            let connections = servers
                .iter_mut()
                .flat_map(|server| &mut server.connections);
            connections.for_each(|connection| connection.port = port);
        }
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        options.cache_size = 0;
        let config = ResolverConfig::from_parts(domain, search, servers);
        Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
    }
}

fn host_name_server() -> (ResolverConfig, ResolverOpts) {
    let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    (config, ResolverOpts::default())
}

#[cfg(test)]
mod tests;
