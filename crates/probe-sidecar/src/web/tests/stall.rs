//! An application that stalls in the body of a response: attempts that cannot be judged keep the last result until it is
//! too old, which is a transition.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[derive(Default)]
struct StallingRunner(AtomicBool);

#[async_trait]
impl AttemptRunner for StallingRunner {
    async fn run(&self, _: &Attempt, timeout: Duration) -> Result<AttemptOutcome, ProbeError> {
        if self.0.load(Ordering::Relaxed) {
            tokio::time::sleep(timeout).await;
            return Err(ProbeError::interrupted("timeout while reading body"));
        }
        Ok(AttemptOutcome {
            verdict: Verdict::Success,
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

#[tokio::test(start_paused = true)]
async fn body_stall_is_one_transition_in_stream_history_and_metrics() {
    let stalls = Arc::new(StallingRunner::default());
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), stalls.clone());
    let text = b"targets: [{name: x, livenessProbe: {tcpSocket: {port: 1}, periodSeconds: 1}}]";
    let config = config::parse("c", text, &ParseOptions::default()).unwrap();
    engine.apply(&config).unwrap();
    let ready = Readiness::default();
    ready.open();
    let app = AppState { engine, ready };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut changes = app.engine.changes();
    stalls.0.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    assert_eq!(
        get(&app, "/livez/x", "*/*").await.0,
        200,
        "as in the kubelet"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (status, body) = get(&app, "/livez/x", "*/*").await;
    assert_eq!(status, 503);
    assert!(
        body.contains("unknown: timeout while reading body"),
        "{body}"
    );
    tokio::time::sleep(Duration::from_secs(60)).await;
    stalls.0.store(false, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut seen = Vec::new();
    while let Ok(event) = changes.try_recv() {
        if let crate::engine::Event::Transition(_, change) = event {
            seen.push((change.at.as_millis(), change.to.as_str()));
        }
    }
    // Three periods, the default of unknownAfterMilliseconds, after the last result.
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!((seen[0].0 / 10, seen[0].1), (300, "unknown"));
    assert_eq!(seen[1].1, "healthy");
    let (_, one) = get(&app, "/probes/x", "*/*").await;
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(one["probes"][0]["transitions"][1]["to"], "unknown");
    let metrics = Metrics::default();
    let probes = crate::metrics::Probes {
        engine: app.engine,
        pod: crate::metrics::Pod::default(),
    };
    metrics.register(|registry| registry.register_collector(Box::new(probes)));
    let page = metrics.encode().unwrap();
    let line = "probe_sidecar_probe_transitions_total{probe_type=\"Liveness\",container=\"x\",pod=\"\",namespace=\"\",status=\"unknown\"} 1";
    assert!(page.contains(line), "{page}");
}

/// Returns the time from a stall right after an attempt until liveness is unhealthy.
async fn detection(period: u64, timeout: u64, threshold: u32) -> (Duration, Option<Duration>) {
    let stalls = Arc::new(StallingRunner::default());
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), stalls.clone());
    let text = format!(
        "targets: [{{name: x, livenessProbe: {{tcpSocket: {{port: 1}}, failureThreshold: {threshold}, extensions: {{periodMilliseconds: {period}, timeoutMilliseconds: {timeout}}}}}}}]"
    );
    let config = config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap();
    let spec = &config.targets[0].probes[0];
    let promised = crate::explain::worst_case_unknown(spec);
    engine.apply(&config).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    stalls.0.store(true, Ordering::Relaxed);
    let (start, mut changes) = (tokio::time::Instant::now(), engine.changes());
    loop {
        if let crate::engine::Event::Transition(_, change) = changes.recv().await.unwrap() {
            assert_eq!(change.to.as_str(), "unknown");
            return (start.elapsed(), promised);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stall_is_unknown_within_the_time_of_check_config() {
    for period in [20, 100, 1_000] {
        for timeout in [10, 100, 350, 2_500] {
            for threshold in [1, 2, 7] {
                let (found, promised) = detection(period, timeout, threshold).await;
                let promised = promised.unwrap() + Duration::from_millis(2);
                assert!(
                    found <= promised,
                    "{period} {timeout} {threshold}: {found:?} > {promised:?}"
                );
            }
        }
    }
}
