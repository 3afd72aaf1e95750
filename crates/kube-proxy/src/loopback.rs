//! Load balancers on the host's loopback address.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use component_helpers::load_balancer::LoadBalancer;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{Proxy, ServicePortName, connections};

type Listeners = HashMap<(String, String), HashMap<u16, AbortOnDropHandle<()>>>;

/// Listens on 127.0.0.1 for services of type `LoadBalancer`. It exposes them and balances nothing itself.
pub struct LoopbackLoadBalancer {
    proxy: Proxy,
    listeners: Mutex<Listeners>,
}

impl LoopbackLoadBalancer {
    pub(super) fn new(proxy: Proxy) -> Self {
        Self {
            proxy,
            listeners: Mutex::default(),
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().expect("no holder of the lock panics")
    }
}

#[async_trait]
impl LoadBalancer for LoopbackLoadBalancer {
    async fn ensure(
        &self,
        namespace: &str,
        service: &str,
        ports: &[u16],
    ) -> Result<Ipv4Addr, String> {
        let key = (namespace.to_owned(), service.to_owned());
        let mut missing = ports.to_vec();
        {
            let mut listeners = self.listeners();
            let open = listeners.entry(key.clone()).or_default();
            open.retain(|port, _| ports.contains(port));
            missing.retain(|port| !open.contains_key(port));
        }
        for port in missing {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
            let listener =
                listener.map_err(|error| format!("cannot listen on 127.0.0.1:{port}: {error}"))?;
            let port_name = ServicePortName {
                namespace: namespace.to_owned(),
                service: service.to_owned(),
                port,
            };
            let serving = connections::serve_with_restarts(listener, self.proxy.clone(), port_name);
            let serving = tokio::spawn(serving);
            let handle = AbortOnDropHandle::new(serving);
            self.listeners()
                .entry(key.clone())
                .or_default()
                .insert(port, handle);
        }
        Ok(Ipv4Addr::LOCALHOST)
    }

    async fn release(&self, namespace: &str, service: &str) {
        let key = (namespace.to_owned(), service.to_owned());
        self.listeners().remove(&key);
    }
}
