//! Probes one container and prints what a host receives: an update for each changed result, and an event for each failure.
//!
//! The "container" is a TCP listener of this process. It is closed after the first success, so the readiness probe reaches
//! its failure threshold two seconds later.

use std::error::Error;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use selfheal_probe::{
    Clock, EventSink, LocalProber, Manager, ManagerOptions, ProbeResult, ProbeTarget, StartDelay,
};
use serde_json::json;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let pod = pod(listener.local_addr()?.port())?;
    let now = Timestamp::now();
    let options = ManagerOptions {
        host_started_at: now,
        start_delay: StartDelay::None,
        change_status_on_restart: false,
    };
    let clock = Clock::new(now, 1.0);
    let prober = Arc::new(LocalProber::default());
    let (manager, mut updates) = Manager::new(clock, prober, Arc::new(PrintedEvents), options);
    manager.set_status("uid-1", running(now)?);
    manager.add_pod(&pod);

    let mut listener = Some(listener);
    while let Some(update) = updates.recv().await {
        print(&format!("update: {:?} is {:?}", update.kind, update.result));
        match update.result {
            ProbeResult::Success => listener = None,
            ProbeResult::Failure if listener.is_none() => break,
            _ => {}
        }
    }
    manager.remove_pod("uid-1");
    Ok(())
}

struct PrintedEvents;

impl EventSink for PrintedEvents {
    fn warning(&self, target: &ProbeTarget, reason: &'static str, message: String) {
        print(&format!("event: {} {reason}: {message}", target.container));
    }
}

fn pod(port: u16) -> Result<Pod, serde_json::Error> {
    let readiness = json!({"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 2});
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-1"},
        "spec": {"containers": [{"name": "app", "readinessProbe": readiness}]},
    }))
}

/// Returns the status that the kubelet publishes once the container runs.
fn running(since: Timestamp) -> Result<PodStatus, serde_json::Error> {
    serde_json::from_value(json!({
        "phase": "Running",
        "podIP": "127.0.0.1",
        "containerStatuses": [{
            "name": "app", "containerID": "example://1", "image": "", "imageID": "", "restartCount": 0,
            "ready": false, "started": true, "state": {"running": {"startedAt": since.to_string()}},
        }],
    }))
}

#[expect(clippy::print_stdout, reason = "the example prints what it receives")]
fn print(line: &str) {
    println!("{line}");
}
