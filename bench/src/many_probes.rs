//! Many concurrent probes: their schedule delay on one core, and their memory.

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

/// Number of probes for the measurement of delays.
const PROBE_COUNT: usize = 2_000;
/// Duration of that measurement.
const SECONDS: u64 = 10;
/// Number of probes for the measurement of memory.
const WAITING_PROBE_COUNT: usize = 10_000;

struct DiscardEvents;

impl EventSink for DiscardEvents {
    fn warning(&self, _: &ProbeTarget, _: &'static str, _: String) {}
}

/// Records the start of each attempt by pod.
#[derive(Default)]
struct TimedProber {
    prober: LocalProber,
    starts: Mutex<HashMap<String, Vec<Instant>>>,
}

#[async_trait]
impl Prober for TimedProber {
    async fn probe(
        &self,
        target: &ProbeTarget,
        action: &ResolvedHandler,
        timeout: Duration,
    ) -> Result<Outcome, ProbeError> {
        let now = Instant::now();
        if let Ok(mut starts) = self.starts.lock() {
            starts.entry(target.pod_uid.clone()).or_default().push(now);
        }
        self.prober.probe(target, action, timeout).await
    }
}

/// Creates a manager of `count` pods with one HTTP probe each.
fn start_probes(
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
    let (manager, mut updates) = Manager::new(
        Clock::new(now, 1.0),
        prober,
        Arc::new(DiscardEvents),
        options,
    );
    tokio::spawn(async move { while updates.recv().await.is_some() {} });
    for index in 0..count {
        let uid = format!("pod-{index}");
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

pub(crate) fn measure_delays(server: SocketAddr) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let timed = Arc::new(TimedProber::default());
    let before = crate::cost::cpu_time()?;
    runtime.block_on(async {
        let _manager = start_probes(timed.clone(), PROBE_COUNT, 1, server)?;
        tokio::time::sleep(Duration::from_secs(SECONDS)).await;
        anyhow::Ok(())
    })?;
    let cpu = crate::cost::cpu_time()?.saturating_sub(before);
    let starts = timed
        .starts
        .lock()
        .map_err(|_| anyhow::anyhow!("a probe panicked"))?;
    let mut delays: Vec<Duration> = starts.values().flat_map(|times| delays_of(times)).collect();
    delays.sort_unstable();
    let percentile = |part: f64| {
        let index = (delays.len() as f64 * part) as usize;
        delays
            .get(index.min(delays.len().saturating_sub(1)))
            .copied()
            .unwrap_or_default()
    };
    Ok(format!(
        "{PROBE_COUNT} HTTP probes a second on one core: {} attempts in {SECONDS} s, delay p50 {:?}, p99 {:?}; {:.0} % of the core",
        delays.len(),
        percentile(0.5),
        percentile(0.99),
        cpu.as_secs_f64() / SECONDS as f64 * 100.0
    ))
}

/// Returns the delay of each start after its scheduled time, relative to the first start.
fn delays_of(times: &[Instant]) -> Vec<Duration> {
    let Some(first) = times.first() else {
        return Vec::new();
    };
    let ticks = (0_u64..).map(|tick| *first + Duration::from_secs(tick));
    times
        .iter()
        .zip(ticks)
        .map(|(start, tick)| start.saturating_duration_since(tick))
        .collect()
}

pub(crate) fn measure_memory(server: SocketAddr) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let before = resident_memory()?;
    let (filled, later) = runtime.block_on(async {
        let _manager = start_probes(
            Arc::new(LocalProber::default()),
            WAITING_PROBE_COUNT,
            10,
            server,
        )?;
        tokio::time::sleep(Duration::from_secs(11)).await;
        let filled = resident_memory()?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        anyhow::Ok((filled, resident_memory()?))
    })?;
    let each = |bytes: u64| bytes.saturating_sub(before) / WAITING_PROBE_COUNT as u64;
    Ok(format!(
        "{WAITING_PROBE_COUNT} HTTP probes every ten seconds: {} bytes each after a period, {} bytes each after three",
        each(filled),
        each(later)
    ))
}

/// Returns the resident memory of this process in bytes.
fn resident_memory() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text
        .split_whitespace()
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    Ok(pages.unwrap_or_default() * 4096)
}
