use async_trait::async_trait;
use jiff::Timestamp;
use probe::{Clock, ProbeError, Verdict};
use tokio::sync::mpsc;

use super::*;
use crate::attempt::{Attempt, AttemptRunner};
use crate::config::{self, ParseOptions};
use crate::outcome::AttemptOutcome;
use crate::spec::{ActionKind, Config};

/// Attempts that fail while the value is `true`.
#[derive(Default)]
struct Switch(Mutex<bool>);

#[async_trait]
impl AttemptRunner for Switch {
    async fn run(&self, _: &Attempt, _: Duration) -> Result<AttemptOutcome, ProbeError> {
        let broken = *self.0.lock().unwrap();
        Ok(AttemptOutcome {
            verdict: if broken {
                Verdict::Failure
            } else {
                Verdict::Success
            },
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

struct RecordingExecutor(mpsc::UnboundedSender<(u64, String)>, Clock);

#[async_trait]
impl ActionExecutor for RecordingExecutor {
    async fn execute(&self, effect: &ActionKind, event: &str) -> Result<String, String> {
        let event: serde_json::Value = serde_json::from_str(event).unwrap();
        let line = format!("{effect}: {} {}", event["probe"], event["became"]);
        self.0.send((self.1.elapsed().as_secs(), line)).unwrap();
        Ok(String::new())
    }
}

struct Harness {
    switch: Arc<Switch>,
    engine: Engine,
    actions: Actions,
    runs: mpsc::UnboundedReceiver<(u64, String)>,
}

fn read(action: &str) -> Config {
    let text = format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: 1}}, periodSeconds: 1, failureThreshold: 1}}}}]\n\
         actions: [{{name: x, when: {{probe: livez/a}}, exit: {{code: 3}}, {action}}}]"
    );
    config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap()
}

fn harness(action: &str, mode: Mode) -> Harness {
    let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
    let switch = Arc::new(Switch::default());
    let engine = Engine::new(clock.clone(), switch.clone());
    let (sender, runs) = mpsc::unbounded_channel();
    let actions = Actions::new(
        engine.clone(),
        Arc::new(RecordingExecutor(sender, clock)),
        mode,
    );
    let config = read(action);
    engine.apply(&config).unwrap();
    actions.apply(&config.actions);
    Harness {
        switch,
        engine,
        actions,
        runs,
    }
}

impl Harness {
    async fn pass(&self, broken: bool, seconds: u64) {
        *self.switch.0.lock().unwrap() = broken;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn times(&mut self) -> Vec<u64> {
        let mut times = Vec::new();
        while let Ok((at, _)) = self.runs.try_recv() {
            times.push(at);
        }
        times
    }
}

#[tokio::test(start_paused = true)]
async fn action_runs_once_per_transition() {
    let mut harness = harness("coolDownSeconds: 0", Mode::On);
    harness.pass(false, 5).await;
    harness.pass(true, 100).await;
    harness.pass(false, 5).await;
    harness.pass(true, 100).await;
    assert_eq!(
        harness.runs.recv().await.unwrap().1,
        "exit with 3: \"livez/a\" \"unhealthy\""
    );
    assert_eq!(harness.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn throttled_action_runs_later_only_if_its_trigger_lasts() {
    let mut harness = harness("coolDownSeconds: 30", Mode::On);
    harness.pass(true, 2).await;
    harness.pass(false, 2).await;
    harness.pass(true, 50).await;
    assert_eq!(harness.times(), [0, 30]);
    harness.pass(false, 2).await;
    harness.pass(true, 2).await;
    harness.pass(false, 100).await;
    assert_eq!(harness.times(), [] as [u64; 0], "the trigger is over");
}

#[tokio::test(start_paused = true)]
async fn repeated_action_is_limited_by_its_budget() {
    let mut harness = harness(
        "coolDownSeconds: 10, repeat: true, budget: {count: 3, windowSeconds: 100}",
        Mode::On,
    );
    harness.pass(true, 125).await;
    assert_eq!(harness.times(), [0, 10, 20, 100, 110, 120]);
}

#[tokio::test(start_paused = true)]
async fn action_in_mode_off_or_dry_run_has_no_effect() {
    for (action, mode, outcome) in [
        ("dryRun: false", Mode::Off, None),
        ("dryRun: false", Mode::DryRun, Some("dry_run")),
        ("dryRun: true", Mode::On, Some("dry_run")),
    ] {
        let mut harness = harness(action, mode);
        harness.pass(true, 5).await;
        assert_eq!(harness.times(), [] as [u64; 0]);
        let count = |outcome: &str| {
            let labels = [("action", "x".to_owned()), ("outcome", outcome.to_owned())];
            harness.actions.counts().get_or_create(&labels).get()
        };
        assert_eq!(count("dry_run"), u64::from(outcome.is_some()), "{mode:?}");
        assert_eq!(count("executed"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn unchanged_action_keeps_its_budget_after_a_reload() {
    let mut harness = harness("coolDownSeconds: 60", Mode::On);
    harness.pass(true, 5).await;
    let same = read("coolDownSeconds: 60");
    harness.engine.apply(&same).unwrap();
    harness.actions.apply(&same.actions);
    harness.pass(true, 30).await;
    assert_eq!(harness.times(), [0]);
    harness.actions.apply(&[]);
    harness.pass(false, 2).await;
    harness.pass(true, 100).await;
    assert_eq!(harness.times(), [] as [u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn stopped_engine_triggers_no_action() {
    let mut harness = harness("coolDownSeconds: 30, repeat: true", Mode::On);
    harness.pass(true, 5).await;
    harness.engine.stop();
    harness.pass(true, 100).await;
    assert_eq!(harness.times(), [0]);
}
