//! Interface between the service controller and the implementation of load balancers.

use std::net::Ipv4Addr;

use async_trait::async_trait;

/// Makes services of type LoadBalancer answer outside the pod network.
#[async_trait]
pub trait LoadBalancer: Send + Sync + 'static {
    /// Listens for the service on these ports and returns the address.
    ///
    /// # Errors
    /// The reason why it cannot listen, such as a port in use.
    async fn ensure(
        &self,
        namespace: &str,
        service: &str,
        ports: &[u16],
    ) -> Result<Ipv4Addr, String>;

    /// Closes the service's listeners.
    async fn release(&self, namespace: &str, service: &str);
}
