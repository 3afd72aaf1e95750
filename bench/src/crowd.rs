//! Many probes at a time: how late they are on one core, and what one takes while it waits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use probe::{
    Clock, EventSink, LocalProber, Manager, ManagerOptions, Outcome, ProbeError, ProbeTarget,
    Prober, ResolvedHandler, StartDelay,
};
use serde_json::json;
use tokio::time::Instant;

const CROWD: usize = 2_000;
const SECONDS: u64 = 10;
const WAITING: usize = 10_000;

struct Silent;

impl EventSink for Silent {
    fn warning(&self, _: &ProbeTarget, _: &'static str, _: String) {}
}

/// Remembers when each container was probed.
#[derive(Default)]
struct Timed {
    prober: LocalProber,
    seen: Mutex<HashMap<String, Vec<Instant>>>,
}

#[async_trait]
impl Prober for Timed {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        let now = Instant::now();
        if let Ok(mut seen) = self.seen.lock() {
            seen.entry(target.pod_uid.clone()).or_default().push(now);
        }
        self.prober.probe(target, action, timeout).await
    }
}

/// A manager of `count` pods with one HTTP probe each.
fn crowd(
    prober: Arc<dyn Prober>,
    count: usize,
    period: u64,
    server: SocketAddr,
) -> anyhow::Result<Manager> {
    let now = Timestamp::now();
    let options = ManagerOptions {
        host_started_at: now,
        start_delay: StartDelay::Random,
        change_status_on_restart: false,
    };
    let (manager, mut updates) =
        Manager::new(Clock::new(now, 1.0), prober, Arc::new(Silent), options);
    tokio::spawn(async move { while updates.recv().await.is_some() {} });
    for at in 0..count {
        let uid = format!("pod-{at}");
        let get =
            json!({"host": server.ip().to_string(), "port": server.port(), "path": "/healthz"});
        let probe = json!({"httpGet": get, "periodSeconds": period, "timeoutSeconds": 5});
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"uid": uid, "name": uid, "namespace": "default"},
            "spec": {"containers": [{"name": "c", "livenessProbe": probe}]},
        }))?;
        let status: PodStatus = serde_json::from_value(
            json!({"phase": "Running", "containerStatuses": [{
                "name": "c", "containerID": format!("bench://{uid}"), "started": true, "ready": true, "restartCount": 0,
                "image": "", "imageID": "", "state": {"running": {"startedAt": now.to_string()}},
            }]}),
        )?;
        manager.set_status(&uid, status);
        manager.add_pod(&pod);
    }
    Ok(manager)
}

pub(crate) fn lateness(server: SocketAddr) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let timed = Arc::new(Timed::default());
    let before = crate::cost::cpu()?;
    runtime.block_on(async {
        let _manager = crowd(timed.clone(), CROWD, 1, server)?;
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        anyhow::Ok(())
    })?;
    let cpu = crate::cost::cpu()?.saturating_sub(before);
    let seen = timed
        .seen
        .lock()
        .map_err(|_| anyhow::anyhow!("a probe panicked"))?;
    let mut late: Vec<Duration> = seen.values().flat_map(|times| lates(times)).collect();
    late.sort_unstable();
    let at = |part: f64| {
        let index = (late.len() as f64 * part) as usize;
        late.get(index.min(late.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(format!(
        "{CROWD} HTTP probes a second on one core: {} made in {SECONDS} s, late p50 {:?}, p99 {:?}; {:.0} % of the core",
        late.len(),
        at(0.5),
        at(0.99),
        cpu.as_secs_f64() / SECONDS as f64 * 100.0
    ))
}

/// How long after its tick each probe began; the first is its own measure.
fn lates(times: &[Instant]) -> Vec<Duration> {
    let Some(first) = times.first() else {
        return Vec::new();
    };
    let ticks = (0_u64..).map(|tick| *first + Duration::from_secs(tick));
    times
        .iter()
        .zip(ticks)
        .map(|(at, tick)| at.saturating_duration_since(tick))
        .collect()
}

pub(crate) fn memory(server: SocketAddr) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let before = resident()?;
    let (filled, later) = runtime.block_on(async {
        let _manager = crowd(Arc::new(LocalProber::default()), WAITING, 10, server)?;
        tokio::time::sleep(Duration::from_secs(11)).await;
        let filled = resident()?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        anyhow::Ok((filled, resident()?))
    })?;
    let each = |bytes: u64| bytes.saturating_sub(before) / WAITING as u64;
    Ok(format!(
        "{WAITING} HTTP probes every ten seconds: {} bytes each after a period, {} bytes each after three",
        each(filled),
        each(later)
    ))
}

/// The memory that this process holds.
fn resident() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.unwrap_or_default() * 4096)
}
