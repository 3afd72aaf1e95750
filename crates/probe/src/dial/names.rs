//! Names to addresses, each look-up on its own: one that hangs holds nothing that another one needs.
//!
//! The system's `getaddrinfo` cannot be cancelled: each abandoned look-up keeps a thread for as long as the resolver hangs,
//! and any bound on these threads lets some names starve others. hickory-resolver is asynchronous; a look-up ends, with its
//! sockets, when its caller's deadline passes. Like Go's resolver in the kubelet it reads `hosts` and `resolv.conf` (name
//! servers, search list, options) and knows no other source of `nsswitch.conf`. A resolver is made for each look-up, so that
//! files that change are honoured, and sockets belong to the caller's network namespace and runtime.

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

/// Files that configure name resolution.
#[derive(Debug)]
pub(crate) struct Names {
    hosts: PathBuf,
    resolv_conf: PathBuf,
    /// Port of the name servers instead of their own.
    port: Option<u16>,
}

impl Names {
    /// Those of the system.
    pub(crate) fn of_system() -> Self {
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
    /// Go's text of the reason.
    pub(super) async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, &'static str> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let name = Name::from_str_relaxed(host).map_err(|_| "no such host")?;
        let known = self.known(&name);
        if !known.is_empty() {
            return Ok(known);
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
    fn known(&self, name: &Name) -> Vec<IpAddr> {
        let mut hosts = Hosts::default();
        if let Ok(text) = fs::read(&self.hosts) {
            // A line that cannot be read is left out.
            let _ = hosts.read_hosts_conf(text.as_slice());
        }
        let mut known = Vec::new();
        for kind in [RecordType::A, RecordType::AAAA] {
            let found = hosts.lookup_static_host(&Query::query(name.clone(), kind));
            let answers = found.iter().flat_map(|found| found.answers());
            known.extend(answers.filter_map(|record| record.data.ip_addr()));
        }
        if known.is_empty() && name.is_localhost() {
            known.extend([
                IpAddr::from(Ipv4Addr::LOCALHOST),
                IpAddr::from(Ipv6Addr::LOCALHOST),
            ]);
        }
        known
    }

    fn resolver(&self) -> Result<Resolver<TokioRuntimeProvider>, NetError> {
        let text = fs::read(&self.resolv_conf).unwrap_or_default();
        // Without a name server there is one on this host, as for the C library.
        let (config, mut options) =
            system_conf::parse_resolv_conf(&text).unwrap_or_else(|_| on_this_host());
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

fn on_this_host() -> (ResolverConfig, ResolverOpts) {
    let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    (config, ResolverOpts::default())
}

#[cfg(test)]
mod tests;
