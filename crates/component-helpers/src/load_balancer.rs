//! Interface between the service controller and the implementation of load balancers.

use std::net::Ipv4Addr;

use async_trait::async_trait;

/// Makes services of type LoadBalancer answer outside the pod network.
#[async_trait]
pub trait LoadBalancer: Send + Sync + 'static {
    /// Answers for the service at these ports; returns the address, or why not (a port already taken …).
    async fn ensure(
        &self,
        namespace: &str,
        service: &str,
        ports: &[u16],
    ) -> Result<Ipv4Addr, String>;

    /// Stops answering for it.
    async fn release(&self, namespace: &str, service: &str);
}
