//! Model test: a kubelet that probes `/livez/app`, a sidecar, and an application with a start time and faults.

use std::sync::Mutex;

use tokio::time::{Instant, sleep, sleep_until};

use super::*;

/// User agent of the kubelet.
const KUBELET: &str = "kube-probe/1.36";

/// A fault of a running application, until its process is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Connections are accepted and not answered.
    Hangs,
    /// Answers are errors.
    Fails,
    /// The process has exited; the kubelet starts the next one immediately.
    Exits,
    /// No answers for this time.
    Pauses(Duration),
}

/// A process that is restarted by the kubelet.
pub(super) struct Process {
    start: Duration,
    pub(super) started_at: Instant,
    fault: Option<(Instant, Fault)>,
}

impl Process {
    pub(super) fn new(start: Duration, fault: Option<(Instant, Fault)>) -> Self {
        Self {
            start,
            started_at: Instant::now(),
            fault,
        }
    }

    /// Replaces the process by one without a fault.
    pub(super) fn replace(&mut self, started_at: Instant) {
        self.started_at = started_at;
        self.fault = None;
    }

    /// Returns the result of an attempt, or the reason of its failure.
    fn attempt(&self) -> Result<(), &'static str> {
        let now = Instant::now();
        if now < self.started_at + self.start {
            return Err("refused");
        }
        match self.fault {
            Some((at, Fault::Pauses(time))) if now >= at && now < at + time => {
                Err("response_timeout")
            }
            Some((at, Fault::Hangs)) if now >= at => Err("response_timeout"),
            Some((at, Fault::Fails)) if now >= at => Err("status"),
            _ => Ok(()),
        }
    }

    fn is_starting(&self) -> bool {
        Instant::now() < self.started_at + self.start
    }
}

pub(super) struct ProcessRunner(pub(super) Arc<Mutex<Process>>);

#[async_trait]
impl AttemptRunner for ProcessRunner {
    async fn run(&self, _: &Attempt, timeout: Duration) -> Result<AttemptOutcome, ProbeError> {
        let result = self.0.lock().unwrap().attempt();
        if result == Err("response_timeout") {
            sleep(timeout).await;
        }
        Ok(AttemptOutcome {
            verdict: match result {
                Ok(()) => Verdict::Success,
                Err(_) => Verdict::Failure,
            },
            reason: result.err().map(|kind| FailureReason { kind, code: None }),
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

/// Times of the model; the sidecar's thresholds are 3 for liveness and 60 for startup.
#[derive(Clone, Copy, Debug)]
struct Times {
    start: Duration,
    sidecar_period: Duration,
    kubelet_period: Duration,
    kubelet_threshold: u32,
    /// Time until a killed process has exited and the next one starts.
    kill: Duration,
}

/// Restarts by the kubelet.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    kills: u32,
    kills_while_starting: u32,
}

fn target(period: Duration) -> String {
    let period = period.as_millis();
    let probe = |threshold| {
        format!(
            "{{tcpSocket: {{port: 1}}, failureThreshold: {threshold}, extensions: {{periodMilliseconds: {period}, timeoutMilliseconds: 500}}}}"
        )
    };
    format!(
        "targets: [{{name: app, startupProbe: {}, livenessProbe: {}, readinessProbe: {}}}]\n\
         groups: [{{name: g, members: [livez/app]}}]",
        probe(60),
        probe(3),
        probe(3)
    )
}

fn sidecar(process: &Arc<Mutex<Process>>, period: Duration) -> super::AppState {
    let attempts = Arc::new(ProcessRunner(process.clone()));
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), attempts);
    let config = config::parse("c", target(period).as_bytes(), &ParseOptions::default());
    engine.apply(&config.unwrap()).unwrap();
    let ready = Readiness::default();
    ready.open();
    super::AppState { engine, ready }
}

fn process(start: Duration) -> Arc<Mutex<Process>> {
    Arc::new(Mutex::new(Process::new(start, None)))
}

/// Runs the kubelet's liveness probe for `time`, and the application with a fault some time after its first start.
async fn run(times: Times, fault: Fault, time: Duration) -> Seen {
    let process = process(times.start);
    let app = sidecar(&process, times.sidecar_period);
    let fault_at = Instant::now() + times.start + times.sidecar_period * 5;
    let end = Instant::now() + time;
    process.lock().unwrap().fault = match fault {
        Fault::Exits => None,
        other => Some((fault_at, other)),
    };
    let mut exits = fault == Fault::Exits;
    let (mut seen, mut failures) = (Seen::default(), 0);
    let path = match times.kubelet_threshold {
        3 => "/livez/app".to_owned(),
        other => format!("/livez/app?failureThreshold={other}"),
    };
    while Instant::now() < end {
        if exits && Instant::now() >= fault_at {
            exits = false;
            failures = 0;
            process.lock().unwrap().started_at = Instant::now();
        }
        let (status, _) = get_as(KUBELET, &app, &path, "*/*").await;
        failures = if status == 200 { 0 } else { failures + 1 };
        if failures == times.kubelet_threshold {
            failures = 0;
            seen.kills += 1;
            seen.kills_while_starting += u32::from(process.lock().unwrap().is_starting());
            sleep(times.kill).await;
            let mut process = process.lock().unwrap();
            process.started_at = Instant::now();
            process.fault = None;
        }
        sleep(times.kubelet_period).await;
    }
    app.engine.stop();
    seen
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const TRIAL: Times = Times {
    start: Duration::from_secs(20),
    sidecar_period: Duration::from_secs(2),
    kubelet_period: Duration::from_secs(2),
    kubelet_threshold: 3,
    kill: Duration::from_secs(1),
};

#[tokio::test(start_paused = true)]
async fn slow_starter_is_killed_for_a_real_fault_and_never_while_it_starts() {
    for (fault, kills) in [
        (Fault::Hangs, 1),
        (Fault::Fails, 1),
        (Fault::Exits, 0),
        (Fault::Pauses(seconds(3)), 0),
    ] {
        let seen = run(TRIAL, fault, seconds(600)).await;
        let expected = Seen {
            kills,
            kills_while_starting: 0,
        };
        assert_eq!(seen, expected, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn startup_that_reaches_its_threshold_is_unhealthy_until_the_next_start() {
    let process = process(seconds(1_000));
    let app = sidecar(&process, seconds(2));
    sleep(seconds(60)).await;
    let starting = "[+]app ok: startup probe has not succeeded yet\nlivez/app check passed\n";
    // The first request of the kubelet starts the budget of 60 periods.
    let response = get_as(KUBELET, &app, "/livez/app?verbose", "*/*").await;
    assert_response(&response, 200, starting);
    sleep(seconds(130)).await;
    let failed =
        "[-]app failed: startup probe reached its failure threshold\nlivez/app check failed\n";
    assert_response(&get(&app, "/livez/app", "*/*").await, 503, failed);
    // The kubelet kills it after three answers; each process has the whole budget of the startup probe.
    for expected in [503, 503, 503, 200] {
        assert_eq!(get_as(KUBELET, &app, "/livez/app", "*/*").await.0, expected);
    }
    sleep(seconds(60)).await;
    assert_response(&get(&app, "/livez/app?verbose", "*/*").await, 200, starting);
}

#[tokio::test(start_paused = true)]
async fn every_view_of_a_starting_target_agrees() {
    let process = process(seconds(20));
    let app = sidecar(&process, seconds(2));
    let metrics = Metrics::default();
    let probes = crate::metrics::Probes {
        engine: app.engine.clone(),
        pod: crate::metrics::Pod::default(),
    };
    metrics.register(|registry| registry.register_collector(Box::new(probes)));
    for (at, healthy) in [(10, true), (30, true), (130, false)] {
        if at == 130 {
            // A restart into a process that never starts.
            let mut process = process.lock().unwrap();
            process.start = seconds(1_000);
            process.started_at = Instant::now();
        }
        sleep_until(Instant::now() + seconds(at)).await;
        let status = if healthy { 200 } else { 503 };
        for path in ["/livez", "/livez/app", "/groups/g"] {
            assert_eq!(get(&app, path, "*/*").await.0, status, "{path} at {at}");
        }
        let (_, probes) = get(&app, "/probes", "*/*").await;
        let probes: Value = serde_json::from_str(&probes).unwrap();
        let liveness = &probes["probes"][1];
        assert_eq!(liveness["name"], "livez/app");
        assert_eq!(liveness["healthy"], healthy, "{liveness}");
        let (_, page) = get(&app, "/", "text/html").await;
        let part = format!("data-probe=\"livez/app\" data-healthy=\"{healthy}\"");
        assert!(page.contains(&part), "{at}");
        let line = format!(
            "probe_sidecar_probe_healthy{{probe_type=\"Liveness\",container=\"app\",pod=\"\",namespace=\"\"}} {}",
            u8::from(healthy)
        );
        assert!(metrics.encode().unwrap().contains(&line), "{at}");
        assert_eq!(crate::grpc::is_serving(&app, "livez/app"), healthy, "{at}");
    }
}
