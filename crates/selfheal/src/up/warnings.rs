//! Warnings on the terminal of `selfheal up`.

use std::collections::HashSet;
use std::io::{self, Write as _};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Event, Service};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio_util::task::AbortOnDropHandle;

use crate::doctor::ports;

/// Returns a warning about a clock with another speed than the host's.
pub(super) fn clock_warning(speed: f64) -> Option<String> {
    if (speed - 1.0).abs() < f64::EPSILON {
        return None;
    }
    Some(format!(
        "warning: the node's clock runs {speed} times as fast as this host's. `kubectl get` prints ages on the node's clock; \
         `kubectl describe` and `kubectl events` compute them from this host's clock, so those are too long. Programs in containers \
         are not accelerated; SELFHEAL_CLOCK_SPEED is set for them."
    ))
}

/// Prints a warning for each service that gets no load balancer, until the handle is dropped.
pub(super) fn watch_load_balancers(client: Client) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(print_load_balancer_failures(client)))
}

async fn print_load_balancer_failures(client: Client) {
    let failures = watcher::Config::default().fields("reason=SyncLoadBalancerFailed");
    let events = watcher(Api::<Event>::all(client.clone()), failures);
    let mut events = std::pin::pin!(events.default_backoff().applied_objects());
    let mut warned = HashSet::new();
    while let Some(event) = events.next().await {
        // The watcher lists again after an error.
        let Ok(event) = event else { continue };
        let object = &event.involved_object;
        let name = object.name.clone().unwrap_or_default();
        let namespace = object.namespace.clone().unwrap_or_default();
        if !warned.insert(object.uid.clone()) {
            continue;
        }
        let service = Api::<Service>::namespaced(client.clone(), &namespace)
            .get_opt(&name)
            .await;
        let Ok(Some(service)) = service else { continue };
        let message = event.message.as_deref().unwrap_or_default();
        // The terminal may be closed, which does not stop the node.
        let _ = writeln!(io::stderr(), "{}", load_balancer_warning(&service, message));
    }
}

/// Returns a warning with the service and each port that another process listens on.
fn load_balancer_warning(service: &Service, message: &str) -> String {
    let service_ports = service
        .spec
        .iter()
        .flat_map(|spec| spec.ports.iter().flatten());
    let numbers = service_ports.filter_map(|port| u16::try_from(port.port).ok());
    let conflicts: Vec<_> = numbers.filter_map(ports::find_conflict).collect();
    let reason = if conflicts.is_empty() {
        message.to_owned()
    } else {
        conflicts.join("; ")
    };
    let namespace = service.namespace().unwrap_or_default();
    format!(
        "warning: service {namespace}/{} has no address: {reason}",
        service.name_any()
    )
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use serde_json::json;

    use super::*;

    #[test]
    fn warning_has_the_service_the_port_and_the_process() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = json!({
            "metadata": {"namespace": "default", "name": "todo-web"},
            "spec": {"ports": [{"port": port}]},
        });
        let service = serde_json::from_value(service).unwrap();
        let text = load_balancer_warning(&service, "failed");
        let expected =
            format!("warning: service default/todo-web has no address: port {port} is in use by ");
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.contains(&format!("(pid {})", std::process::id())),
            "{text}"
        );
    }

    #[test]
    fn clock_warning_is_for_another_speed_only() {
        assert_eq!(clock_warning(1.0), None);
        assert!(clock_warning(5.0).unwrap().contains("5 times"));
    }
}
