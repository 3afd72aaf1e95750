//! Session affinity (`sessionAffinity: ClientIP`): a client's connections go to the endpoint that it had before.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use tokio::time::Instant;

use super::ServicePortName;

/// Default of `timeoutSeconds`, as in the API: three hours.
const DEFAULT_TIMEOUT_SECONDS: i32 = 10_800;

#[derive(Default)]
pub(super) struct AffinityTable {
    sessions: Mutex<HashMap<(ServicePortName, IpAddr), StickySession>>,
}

struct StickySession {
    endpoint: SocketAddrV4,
    expires_at: Instant,
}

/// Returns the timeout of the service's sessions, or `None` without affinity.
pub(super) fn session_timeout(service: &Service) -> Option<Duration> {
    let spec = service.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref();
    let seconds = config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    u64::try_from(seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS))
        .ok()
        .map(Duration::from_secs)
}

impl AffinityTable {
    /// Returns the endpoint of the client's session if `usable` contains it. Otherwise starts a session with the endpoint that
    /// `pick` returns. Each call extends the session by `timeout`.
    pub(super) fn endpoint_for(
        &self,
        port: &ServicePortName,
        client: IpAddr,
        timeout: Duration,
        usable: &[SocketAddrV4],
        pick: impl FnOnce() -> Option<SocketAddrV4>,
    ) -> Option<SocketAddrV4> {
        let now = Instant::now();
        let mut sessions = self.sessions.lock().expect("no holder of the lock panics");
        sessions.retain(|_, session| session.expires_at > now);
        let key = (port.clone(), client);
        let previous = sessions.get(&key).map(|session| session.endpoint);
        let endpoint = previous
            .filter(|endpoint| usable.contains(endpoint))
            .or_else(pick)?;
        let expires_at = now + timeout;
        sessions.insert(
            key,
            StickySession {
                endpoint,
                expires_at,
            },
        );
        Some(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};

    use super::*;

    fn pod(last: u8) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::new(10, 244, 0, last), 80)
    }

    fn client(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 244, 0, last))
    }

    /// Returns the last octet of the endpoint for a client of `service`, where round robin would pick `next`.
    fn endpoint(affinity: &AffinityTable, service: &str, last: u8, usable: &[u8], next: u8) -> u8 {
        let port = ServicePortName {
            namespace: "default".to_owned(),
            service: service.to_owned(),
            port: 80,
        };
        let usable: Vec<_> = usable.iter().map(|last| pod(*last)).collect();
        let minute = Duration::from_secs(60);
        let found = affinity.endpoint_for(&port, client(last), minute, &usable, || Some(pod(next)));
        found.unwrap().ip().octets()[3]
    }

    #[tokio::test(start_paused = true)]
    async fn client_keeps_its_endpoint_while_it_is_usable() {
        let affinity = AffinityTable::default();
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 1), 1);
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 2), 1);
        assert_eq!(endpoint(&affinity, "a", 8, &[1, 2], 2), 2);
        assert_eq!(endpoint(&affinity, "b", 9, &[1, 2], 2), 2);
        assert_eq!(endpoint(&affinity, "a", 9, &[2, 3], 3), 3);
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2, 3], 1), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn session_without_connections_expires() {
        let affinity = AffinityTable::default();
        let second = Duration::from_secs(1);
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 1), 1);
        tokio::time::advance(59 * second).await;
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 2), 1);
        tokio::time::advance(59 * second).await;
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 2), 1);
        tokio::time::advance(60 * second).await;
        assert_eq!(endpoint(&affinity, "a", 9, &[1, 2], 2), 2);
    }

    #[test]
    fn session_timeout_is_the_services_or_three_hours() {
        let seconds = |spec: Value| {
            let service: Service = serde_json::from_value(json!({"spec": spec})).unwrap();
            session_timeout(&service).map(|timeout| timeout.as_secs())
        };
        assert_eq!(seconds(json!({"sessionAffinity": "None"})), None);
        assert_eq!(seconds(json!({})), None);
        assert_eq!(
            seconds(json!({"sessionAffinity": "ClientIP"})),
            Some(10_800)
        );
        let config = json!({"clientIP": {"timeoutSeconds": 7}});
        let spec = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config});
        assert_eq!(seconds(spec), Some(7));
    }
}
