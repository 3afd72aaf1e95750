//! Which pod a client was given before, for services that ask for the same one again (`sessionAffinity: ClientIP`).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddrV4};
use std::sync::Mutex;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use tokio::time::Instant;

use super::Target;

/// How long a client that is not seen is remembered unless the service says otherwise: three hours.
const DEFAULT: i32 = 10_800;

#[derive(Default)]
pub(super) struct Affinity {
    given: Mutex<HashMap<(Target, IpAddr), Given>>,
}

struct Given {
    pod: SocketAddrV4,
    forgotten: Instant,
}

/// How long a service has clients remembered, if it does.
pub(super) fn of(service: &Service) -> Option<Duration> {
    let spec = service.spec.as_ref()?;
    if spec.session_affinity.as_deref() != Some("ClientIP") {
        return None;
    }
    let config = spec.session_affinity_config.as_ref();
    let seconds = config.and_then(|config| config.client_ip.as_ref()?.timeout_seconds);
    u64::try_from(seconds.unwrap_or(DEFAULT))
        .ok()
        .map(Duration::from_secs)
}

impl Affinity {
    /// The pod that the client had before, if it is one of these; else the one that `choose` says, from now on.
    pub(super) fn pod(
        &self,
        target: &Target,
        client: IpAddr,
        remembered: Duration,
        usable: &[SocketAddrV4],
        choose: impl FnOnce() -> Option<SocketAddrV4>,
    ) -> Option<SocketAddrV4> {
        let now = Instant::now();
        let mut given = self
            .given
            .lock()
            .expect("nothing panics while it holds the clients");
        given.retain(|_, given| given.forgotten > now);
        let key = (target.clone(), client);
        let before = given.get(&key).map(|given| given.pod);
        let pod = before.filter(|pod| usable.contains(pod)).or_else(choose)?;
        let forgotten = now + remembered;
        given.insert(key, Given { pod, forgotten });
        Some(pod)
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

    /// The pod for a client of `service`, where it would be the turn of `next`.
    fn given(affinity: &Affinity, service: &str, last: u8, usable: &[u8], next: u8) -> u8 {
        let target = Target {
            namespace: "default".to_owned(),
            service: service.to_owned(),
            port: 80,
        };
        let usable: Vec<_> = usable.iter().map(|last| pod(*last)).collect();
        let minute = Duration::from_secs(60);
        let found = affinity.pod(&target, client(last), minute, &usable, || Some(pod(next)));
        found.unwrap().ip().octets()[3]
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_the_pod_that_it_had_while_that_is_there() {
        let affinity = Affinity::default();
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 1), 1);
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 2), 1);
        assert_eq!(given(&affinity, "a", 8, &[1, 2], 2), 2);
        assert_eq!(given(&affinity, "b", 9, &[1, 2], 2), 2);
        assert_eq!(given(&affinity, "a", 9, &[2, 3], 3), 3);
        assert_eq!(given(&affinity, "a", 9, &[1, 2, 3], 1), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_not_seen_for_long_is_forgotten() {
        let affinity = Affinity::default();
        let second = Duration::from_secs(1);
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 1), 1);
        tokio::time::advance(59 * second).await;
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 2), 1);
        tokio::time::advance(59 * second).await;
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 2), 1);
        tokio::time::advance(60 * second).await;
        assert_eq!(given(&affinity, "a", 9, &[1, 2], 2), 2);
    }

    #[test]
    fn a_service_says_for_how_long() {
        let seconds = |spec: Value| {
            let service: Service = serde_json::from_value(json!({"spec": spec})).unwrap();
            of(&service).map(|remembered| remembered.as_secs())
        };
        assert_eq!(seconds(json!({"sessionAffinity": "None"})), None);
        assert_eq!(seconds(json!({})), None);
        assert_eq!(
            seconds(json!({"sessionAffinity": "ClientIP"})),
            Some(10_800)
        );
        let config = json!({"clientIP": {"timeoutSeconds": 7}});
        let given = json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": config});
        assert_eq!(seconds(given), Some(7));
    }
}
