//! Model test over generated scenarios: a kubelet restarts a container by `/livez/app`, with a failure threshold of 1.
//!
//! The kubelet uses the tracker of the crate `probe`. Three properties hold in every scenario:
//! - A fault longer than threshold × period + timeout + one period of the sidecar and of the kubelet causes a restart.
//! - A fault shorter than (threshold − 1) × period causes none.
//! - A process is never killed within its startup budget.

use std::sync::Mutex;

use probe::tracker::Tracker;
use probe::{ProbeKind, ProbeResult};
use tokio::time::{Instant, sleep, sleep_until};

use super::startup::{Fault, Process, ProcessRunner};
use super::*;
use crate::spec::{Config, Handler, HealthyWhen, ProbeSpec, TargetSpec};

const SCENARIOS: u64 = 10_000;
/// Failure threshold of the startup probe.
const STARTUP_THRESHOLD: u32 = 8;
/// Resolution of the timer of tokio, and of its rounding up.
const TIMER_SLACK: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug)]
struct Scenario {
    period: Duration,
    timeout: Duration,
    threshold: u32,
    kubelet_period: Duration,
    kubelet_offset: Duration,
    /// Time from the start of a process until it listens.
    start: Duration,
    fault: Fault,
    /// Time to the fault from the end of the start, or from the second request of the kubelet.
    fault_after: Duration,
    /// Time between the end of a process and the start of its successor.
    restart_delay: Duration,
}

/// A generator of scenarios: xorshift64*, so that a failure can be repeated by its seed.
struct Random(u64);

impl Random {
    fn next(&mut self, range: std::ops::Range<u64>) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16;
        range.start + number % (range.end - range.start)
    }

    fn millis(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.next(range))
    }

    fn scenario(&mut self) -> Scenario {
        let period = self.millis(100..2_000);
        let millis = u64::try_from(period.as_millis()).unwrap();
        let threshold = u32::try_from(self.next(1..5)).unwrap();
        let short = millis * u64::from(threshold - 1);
        let budget = millis * u64::from(STARTUP_THRESHOLD - 1);
        let fault = match self.next(0..5) {
            0 => Fault::Hangs,
            1 => Fault::Fails,
            2 => Fault::Exits,
            _ if short == 0 => Fault::Fails,
            _ => Fault::Pauses(self.millis(0..short)),
        };
        Scenario {
            period,
            timeout: self.millis(10..millis + 1),
            threshold,
            kubelet_period: self.millis(200..3_000),
            kubelet_offset: self.millis(0..3_000),
            start: self.millis(0..budget),
            fault,
            fault_after: self.millis(0..4_000) + period * 2,
            restart_delay: self.millis(0..2_000),
        }
    }
}

impl Scenario {
    /// Time within which a lasting fault causes a restart.
    fn detection(&self) -> Duration {
        self.period * self.threshold + self.timeout + self.period + self.kubelet_period
    }

    fn config(&self) -> Config {
        let probe = |kind, failure_threshold| ProbeSpec {
            kind,
            handler: Handler::Unix { path: "/s".into() },
            period: self.period,
            timeout: self.timeout,
            initial_delay: Duration::ZERO,
            jitter: Duration::ZERO,
            success_threshold: 1,
            failure_threshold,
            stale_after: self.period * 3 + self.timeout,
            unknown_after: Some(self.period * failure_threshold),
            healthy_when: HealthyWhen::default(),
        };
        let target = TargetSpec {
            name: "app".to_owned(),
            dependency: false,
            probes: vec![
                probe(ProbeKind::Startup, STARTUP_THRESHOLD),
                probe(ProbeKind::Liveness, self.threshold),
            ],
        };
        Config {
            targets: vec![target],
            ..Config::default()
        }
    }
}

/// Times of the restarts by the liveness probe, and the ages of the killed processes.
#[derive(Debug, Default)]
struct Restarts(Vec<(Instant, Duration)>);

/// Requests `/livez/app` like the kubelet until `end`, and replaces the process at a failure.
async fn run_kubelet(
    engine: &Engine,
    process: &Mutex<Process>,
    scenario: &Scenario,
    end: Instant,
) -> Restarts {
    let mut restarts = Restarts::default();
    let mut tracker = Tracker::new(ProbeKind::Liveness, 1, 1);
    sleep(scenario.kubelet_offset).await;
    while Instant::now() < end {
        let started_at = process.lock().unwrap().started_at;
        // The kubelet polls only while the container runs.
        sleep_until(started_at).await;
        let snapshot = engine.snapshot();
        let liveness = snapshot.target("app").unwrap().probe(ProbeKind::Liveness);
        let liveness = liveness.unwrap();
        engine.record_poll(liveness);
        let is_healthy = liveness.is_healthy(liveness.status(engine.now()));
        if !is_healthy {
            engine.count_poll(liveness, 1);
        }
        if tracker.observe(is_healthy) == Some(ProbeResult::Failure) {
            let now = Instant::now();
            let age = now - process.lock().unwrap().started_at;
            restarts.0.push((now, age));
            // No process listens until the next one starts.
            process
                .lock()
                .unwrap()
                .replace(now + scenario.restart_delay);
            tracker.resume();
        }
        sleep(scenario.kubelet_period).await;
    }
    restarts
}

async fn check(scenario: Scenario) -> Result<(), String> {
    let start = Instant::now();
    // A process that fails before the first request of the kubelet is one that starts.
    let first_poll = scenario.kubelet_offset + scenario.kubelet_period;
    let fault_at = start + scenario.start.max(first_poll) + scenario.fault_after;
    let process = Process::new(scenario.start, Some((fault_at, scenario.fault)));
    let process = Arc::new(Mutex::new(process));
    let runner = Arc::new(ProcessRunner(process.clone()));
    let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), runner);
    engine.apply(&scenario.config()).unwrap();
    // The successor has to start, too, and to stay.
    let successor = scenario.restart_delay + scenario.start;
    let end = fault_at + scenario.detection() * 2 + successor;
    let exit = async {
        if scenario.fault == Fault::Exits {
            sleep_until(fault_at).await;
            let next = Instant::now() + scenario.restart_delay;
            process.lock().unwrap().replace(next);
        }
    };
    let (restarts, ()) = tokio::join!(run_kubelet(&engine, &process, &scenario, end), exit);
    engine.stop();
    let lasts = matches!(scenario.fault, Fault::Hangs | Fault::Fails);
    match restarts.0.as_slice() {
        [] if !lasts => Ok(()),
        [(at, _)] if lasts && *at < fault_at => Err("restart before the fault".to_owned()),
        [(at, _)] if lasts && *at <= fault_at + scenario.detection() + TIMER_SLACK => Ok(()),
        other => Err(format!("{other:?}, fault at {:?}", fault_at - start)),
    }
}

#[tokio::test(start_paused = true)]
async fn generated_scenarios_restart_for_lasting_faults_only() {
    let mut random = Random(0x5EED);
    for number in 0..SCENARIOS {
        let scenario = random.scenario();
        if let Err(error) = check(scenario).await {
            panic!("scenario {number}: {scenario:?}: {error}");
        }
    }
}

/// A process whose start exceeds the budget is killed, but not within the budget.
#[tokio::test(start_paused = true)]
async fn generated_slow_starters_are_killed_after_their_budget_only() {
    let mut random = Random(0xB0D6E7);
    for number in 0..SCENARIOS / 10 {
        let mut scenario = random.scenario();
        let budget = scenario.period * (STARTUP_THRESHOLD - 1);
        scenario.start = budget * 20;
        let process = Arc::new(Mutex::new(Process::new(scenario.start, None)));
        let runner = Arc::new(ProcessRunner(process.clone()));
        let engine = Engine::new(Clock::new(Timestamp::UNIX_EPOCH, 1.0), runner);
        engine.apply(&scenario.config()).unwrap();
        let end = Instant::now() + scenario.kubelet_offset + (budget + scenario.kubelet_period) * 3;
        let restarts = run_kubelet(&engine, &process, &scenario, end).await;
        engine.stop();
        let ages = || restarts.0.iter().map(|(_, age)| *age);
        assert!(ages().next().is_some(), "scenario {number}: {scenario:?}");
        assert!(
            ages().all(|age| age + TIMER_SLACK >= budget),
            "scenario {number}: {scenario:?}: {restarts:?}, budget {budget:?}"
        );
    }
}
