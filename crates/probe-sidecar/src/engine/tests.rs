mod reload;

use std::collections::VecDeque;

use async_trait::async_trait;
use jiff::Timestamp;
use probe::{ProbeError, Verdict};
use tokio::sync::watch;
use tokio::time::Instant;

use super::state::Status;
use super::*;
use crate::config::{self, ParseOptions};
use crate::outcome::{AttemptOutcome, FailureReason};

/// Attempts with scripted results by port, without delay.
#[derive(Default)]
struct Scripted {
    results: Mutex<HashMap<i32, VecDeque<bool>>>,
    attempts: Mutex<Vec<(i32, Duration)>>,
    started: Mutex<Option<Instant>>,
    hang: watch::Sender<bool>,
}

impl Scripted {
    fn attempts(&self, port: i32) -> Vec<u128> {
        let attempts = self.attempts.lock().unwrap();
        let of_port = attempts.iter().filter(|(other, _)| *other == port);
        of_port.map(|(_, at)| at.as_millis()).collect()
    }

    fn script(&self, port: i32, results: &[bool]) {
        let mut all = self.results.lock().unwrap();
        all.entry(port).or_default().extend(results);
    }
}

#[async_trait]
impl AttemptRunner for Scripted {
    async fn run(&self, attempt: &Attempt, _: Duration) -> Result<AttemptOutcome, ProbeError> {
        let Some(probe::ResolvedHandler::Tcp { port, .. }) = attempt.action() else {
            panic!("{attempt:?}");
        };
        let start = *self
            .started
            .lock()
            .unwrap()
            .get_or_insert_with(Instant::now);
        self.attempts.lock().unwrap().push((*port, start.elapsed()));
        let _ = self.hang.subscribe().wait_for(|hang| !hang).await;
        assert_ne!(*port, 666, "this attempt panics");
        let mut results = self.results.lock().unwrap();
        let success = match results.get_mut(port) {
            Some(left) if left.len() > 1 => left.pop_front().unwrap_or(true),
            Some(left) => left.front().copied().unwrap_or(true),
            None => true,
        };
        Ok(AttemptOutcome {
            verdict: if success {
                Verdict::Success
            } else {
                Verdict::Failure
            },
            reason: (!success).then_some(FailureReason {
                kind: "refused",
                code: None,
            }),
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

fn engine() -> (Engine, Arc<Scripted>) {
    let scripted = Arc::new(Scripted::default());
    let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
    (Engine::new(clock, scripted.clone()), scripted)
}

fn read(text: &str) -> Config {
    config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap()
}

fn target(name: &str, probes: &[(&str, u16, &str)]) -> String {
    let probes: Vec<String> = probes
        .iter()
        .map(|(kind, port, more)| format!("{kind}: {{tcpSocket: {{port: {port}}}{more}}}"))
        .collect();
    format!("{{name: {name}, {}}}", probes.join(", "))
}

fn status(engine: &Engine, target: &str, kind: ProbeKind) -> Status {
    let snapshot = engine.snapshot();
    let probe = snapshot
        .target(target)
        .and_then(|target| target.probe(kind))
        .unwrap();
    probe.status(engine.now())
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn attempts_start_every_period_and_never_overlap() {
    let (engine, scripted) = engine();
    let text = target(
        "a",
        &[(
            "livenessProbe",
            1,
            ", periodSeconds: 2, extensions: {periodMilliseconds: 200}",
        )],
    );
    engine.apply(&read(&format!("targets: [{text}]"))).unwrap();
    pass(1_100).await;
    assert_eq!(scripted.attempts(1), [0, 200, 400, 600, 800, 1000]);
    scripted.hang.send_replace(true);
    pass(1_000).await;
    assert_eq!(scripted.attempts(1).len(), 7, "one hangs");
}

#[tokio::test(start_paused = true)]
async fn first_attempts_are_staggered_within_a_period() {
    let (engine, scripted) = engine();
    let targets: Vec<String> = (1..=4)
        .map(|port| target(&format!("t{port}"), &[("livenessProbe", port, "")]))
        .collect();
    engine
        .apply(&read(&format!("targets: [{}]", targets.join(","))))
        .unwrap();
    pass(10).await;
    let first: Vec<u128> = (1..=4).map(|port| scripted.attempts(port)[0]).collect();
    assert_eq!(first, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn other_probes_start_immediately_after_the_startup_probe_succeeds() {
    let (engine, scripted) = engine();
    scripted.script(1, &[false, false, true]);
    let text = target(
        "a",
        &[
            ("startupProbe", 1, ", periodSeconds: 1, failureThreshold: 1"),
            ("livenessProbe", 2, ", periodSeconds: 5"),
        ],
    );
    engine.apply(&read(&format!("targets: [{text}]"))).unwrap();
    pass(1_500).await;
    assert_eq!(status(&engine, "a", ProbeKind::Startup), Status::Unhealthy);
    assert_eq!(status(&engine, "a", ProbeKind::Liveness), Status::Unhealthy);
    pass(1_000).await;
    assert_eq!(status(&engine, "a", ProbeKind::Startup), Status::Healthy);
    assert_eq!(
        scripted.attempts(1),
        [0, 1000, 2000],
        "the startup probe does not run again"
    );
    assert_eq!(
        scripted.attempts(2)[0],
        2000,
        "immediately, not at its next tick"
    );
}

#[tokio::test(start_paused = true)]
async fn failed_liveness_restarts_the_startup_phase() {
    let (engine, scripted) = engine();
    scripted.script(1, &[true, false, true]);
    scripted.script(2, &[true, false, true]);
    let text = target(
        "a",
        &[
            ("startupProbe", 1, ", periodSeconds: 1"),
            (
                "livenessProbe",
                2,
                ", periodSeconds: 10, failureThreshold: 1",
            ),
        ],
    );
    engine.apply(&read(&format!("targets: [{text}]"))).unwrap();
    pass(10_500).await;
    assert_eq!(status(&engine, "a", ProbeKind::Liveness), Status::NeverRun);
    assert_eq!(status(&engine, "a", ProbeKind::Startup), Status::Unknown);
    pass(1_000).await;
    assert_eq!(status(&engine, "a", ProbeKind::Startup), Status::Healthy);
    assert_eq!(status(&engine, "a", ProbeKind::Liveness), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn reload_keeps_unchanged_probes_only() {
    let (engine, scripted) = engine();
    let (a, b) = (
        target("a", &[("livenessProbe", 1, "")]),
        target("b", &[("livenessProbe", 2, "")]),
    );
    engine
        .apply(&read(&format!("targets: [{a}, {b}]")))
        .unwrap();
    pass(10).await;
    let c = target("c", &[("livenessProbe", 3, "")]);
    let b = target("b", &[("livenessProbe", 2, ", periodSeconds: 7")]);
    let applied = engine
        .apply(&read(&format!("targets: [{c}, {b}, {a}]")))
        .unwrap();
    assert_eq!(
        applied,
        ReloadSummary {
            kept: 1,
            started: 2,
            stopped: 1
        }
    );
    assert_eq!(status(&engine, "a", ProbeKind::Liveness), Status::Healthy);
    assert_eq!(status(&engine, "b", ProbeKind::Liveness), Status::Healthy);
    pass(9_980).await;
    assert_eq!(scripted.attempts(1).len(), 1, "its schedule continued");
    pass(20).await;
    assert_eq!(scripted.attempts(1).len(), 2);
    let applied = engine.apply(&read(&format!("targets: [{a}]"))).unwrap();
    assert_eq!(
        applied,
        ReloadSummary {
            kept: 1,
            started: 0,
            stopped: 2
        }
    );
}

#[tokio::test(start_paused = true)]
async fn panicking_attempt_does_not_stop_the_probe() {
    let (engine, scripted) = engine();
    let text = target("a", &[("livenessProbe", 666, ", periodSeconds: 1")]);
    engine.apply(&read(&format!("targets: [{text}]"))).unwrap();
    pass(4_500).await;
    assert_eq!(scripted.attempts(666).len(), 5);
    assert_eq!(status(&engine, "a", ProbeKind::Liveness), Status::Unknown);
}

#[tokio::test(start_paused = true)]
async fn stop_ends_all_probes_and_keeps_results() {
    let (engine, scripted) = engine();
    let text = target("a", &[("livenessProbe", 1, ", periodSeconds: 1")]);
    let config = read(&format!("targets: [{text}]"));
    engine.apply(&config).unwrap();
    pass(500).await;
    let mut changes = engine.changes();
    engine.stop();
    assert!(matches!(changes.recv().await, Ok(Event::Stopped)));
    pass(5_000).await;
    assert_eq!(scripted.attempts(1).len(), 1);
    engine.apply(&config).unwrap();
    pass(5_000).await;
    assert_eq!(
        scripted.attempts(1).len(),
        1,
        "a stopped engine starts no probe"
    );
}

#[tokio::test(start_paused = true)]
async fn group_requires_all_any_or_a_quorum_and_may_fail_open() {
    let (engine, scripted) = engine();
    scripted.script(2, &[true, false]);
    scripted.script(3, &[false]);
    let targets: Vec<String> = (1..=3)
        .map(|port| {
            target(
                &format!("t{port}"),
                &[(
                    "readinessProbe",
                    port,
                    ", periodSeconds: 1, failureThreshold: 1",
                )],
            )
        })
        .collect();
    let members = "[readyz/t1, readyz/t2, readyz/t3]";
    let text = format!(
        "targets: [{}]\ngroups:\n- {{name: all, members: {members}}}\n- {{name: any, members: {members}, require: any}}\n\
         - {{name: two, members: {members}, require: 2}}\n- {{name: open, members: {members}, require: 2, policy: failOpen}}\n\
         - {{name: never, members: {members}, require: all, policy: failOpen}}\n- {{name: outer, members: [groups/any, groups/two]}}\n",
        targets.join(",")
    );
    engine.apply(&read(&text)).unwrap();
    let results = |engine: &Engine| -> Vec<bool> {
        let snapshot = engine.snapshot();
        let result = |group: &Group| snapshot.group_status(group, engine.now()).healthy;
        snapshot.groups.iter().map(result).collect()
    };
    assert_eq!(results(&engine), [false; 6]);
    pass(500).await;
    assert_eq!(results(&engine), [false, true, true, true, false, true]);
    pass(1_000).await;
    assert_eq!(results(&engine), [false, true, false, true, false, false]);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_reloads_under_load_lose_no_result() {
    let (engine, scripted) = engine();
    let stays = target(
        "a",
        &[("livenessProbe", 1, ", extensions: {periodMilliseconds: 10}")],
    );
    let others = [20, 30].map(|period| {
        let fields = format!(", extensions: {{periodMilliseconds: {period}}}");
        let other = target("b", &[("livenessProbe", 2, &fields)]);
        read(&format!("targets: [{stays}, {other}]"))
    });
    for round in 0..10_000 {
        engine.apply(&others[round % 2]).unwrap();
        if round % 5 == 0 {
            pass(1).await;
        }
    }
    let snapshot = engine.snapshot();
    let probe = snapshot
        .target("a")
        .and_then(|target| target.probe(ProbeKind::Liveness))
        .unwrap();
    let attempts = scripted.attempts(1).len();
    assert!(attempts >= 200, "{attempts}");
    assert_eq!(probe.state().totals.attempts(), attempts as u64);
}
