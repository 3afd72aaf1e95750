use async_trait::async_trait;
use jiff::Timestamp;
use probe::{Clock, ProbeError, Verdict};
use tokio::sync::mpsc;

use super::*;
use crate::attempt::{Attempt, AttemptRunner};
use crate::config::{self, ParseOptions};
use crate::outcome::AttemptOutcome;
use crate::spec::{ActionKind, Config};

/// Result of the next attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Answer {
    #[default]
    Success,
    Failure,
    Error,
    Hang,
}

/// Attempts with the current result.
#[derive(Default)]
struct Switch(Mutex<Answer>);

#[async_trait]
impl AttemptRunner for Switch {
    async fn run(&self, _: &Attempt, _: Duration) -> Result<AttemptOutcome, ProbeError> {
        let answer = *self.0.lock().unwrap();
        let verdict = match answer {
            Answer::Success => Verdict::Success,
            Answer::Failure => Verdict::Failure,
            Answer::Error => return Err(ProbeError::unknown("no such command")),
            Answer::Hang => std::future::pending().await,
        };
        Ok(AttemptOutcome {
            verdict,
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

/// Records the time and the event of each run; the first runs fail.
struct RecordingExecutor {
    runs: mpsc::UnboundedSender<(u64, Event)>,
    clock: Clock,
    failures: Mutex<u32>,
}

#[async_trait]
impl ActionExecutor for RecordingExecutor {
    async fn execute(&self, _: &ActionKind, event: &Event) -> Result<String, String> {
        let now = self.clock.elapsed().as_secs();
        self.runs.send((now, event.clone())).unwrap();
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err("refused".to_owned());
        }
        Ok(String::new())
    }
}

struct Harness {
    switch: Arc<Switch>,
    engine: Engine,
    actions: Actions,
    runs: mpsc::UnboundedReceiver<(u64, Event)>,
}

fn read_named(name: &str, when: &str, action: &str) -> Config {
    let text = format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: 1}}, periodSeconds: 1, failureThreshold: 1, extensions: {{staleAfterMilliseconds: 3000}}}}}}]\n\
         groups: [{{name: g, members: [livez/a]}}]\n\
         actions: [{{name: {name}, when: {{{when}}}, {action}}}]"
    );
    config::parse("c", text.as_bytes(), &ParseOptions::default()).unwrap()
}

const UNHEALTHY: &str = "probe: livez/a";

fn read(action: &str) -> Config {
    read_named("x", UNHEALTHY, &format!("exit: {{code: 3}}, {action}"))
}

fn start(config: &Config, mode: Mode, failures: u32) -> Harness {
    let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
    let switch = Arc::new(Switch::default());
    let engine = Engine::new(clock.clone(), switch.clone());
    let (sender, runs) = mpsc::unbounded_channel();
    let executor = RecordingExecutor {
        runs: sender,
        clock,
        failures: Mutex::new(failures),
    };
    let actions = Actions::new(engine.clone(), Arc::new(executor), mode, None);
    engine.apply(config).unwrap();
    actions.apply(&config.actions);
    Harness {
        switch,
        engine,
        actions,
        runs,
    }
}

fn harness(action: &str, mode: Mode) -> Harness {
    start(&read(action), mode, 0)
}

impl Harness {
    async fn set(&self, answer: Answer, seconds: u64) {
        *self.switch.0.lock().unwrap() = answer;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    async fn pass(&self, is_failing: bool, seconds: u64) {
        let answer = if is_failing {
            Answer::Failure
        } else {
            Answer::Success
        };
        self.set(answer, seconds).await;
    }

    fn events(&mut self) -> Vec<(u64, Event)> {
        std::iter::from_fn(|| self.runs.try_recv().ok()).collect()
    }

    fn times(&mut self) -> Vec<u64> {
        self.events().into_iter().map(|(at, _)| at).collect()
    }

    fn count(&self, outcome: &str) -> u64 {
        let labels = [("action", "x".to_owned()), ("outcome", outcome.to_owned())];
        self.actions.counts().get_or_create(&labels).get()
    }
}

#[tokio::test(start_paused = true)]
async fn action_runs_once_per_transition() {
    let mut harness = harness("coolDownSeconds: 0", Mode::On);
    harness.pass(false, 5).await;
    harness.pass(true, 100).await;
    harness.pass(false, 5).await;
    harness.pass(true, 100).await;
    let events = harness.events();
    assert_eq!(events.len(), 2);
    let (_, event) = &events[0];
    assert_eq!(
        (event.probe.as_str(), event.became),
        ("livez/a", "unhealthy")
    );
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
async fn failed_action_is_retried_with_back_off_until_it_succeeds() {
    let config = read("coolDownSeconds: 30, budget: {count: 1, windowSeconds: 3600}");
    let mut harness = start(&config, Mode::On, 4);
    harness.pass(true, 600).await;
    assert_eq!(harness.times(), [0, 1, 3, 7, 15], "failures use no budget");
    assert_eq!((harness.count("failed"), harness.count("executed")), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn failed_action_is_not_retried_after_its_trigger() {
    let mut harness = start(&read("coolDownSeconds: 0"), Mode::On, u32::MAX);
    harness.pass(true, 2).await;
    harness.pass(false, 600).await;
    assert_eq!(harness.times(), [0, 1]);
    harness.pass(true, 2).await;
    assert_eq!(harness.times().len(), 2, "the back-off starts again");
}

#[tokio::test(start_paused = true)]
async fn every_status_triggers_its_action() {
    for (becomes, answer, expected) in [
        ("unhealthy", Answer::Failure, true),
        ("unknown", Answer::Error, true),
        ("unknown", Answer::Failure, false),
        ("stale", Answer::Hang, true),
        ("stale", Answer::Error, false),
        ("unhealthy", Answer::Error, false),
    ] {
        let when = format!("{UNHEALTHY}, becomes: {becomes}");
        let config = read_named("x", &when, "exit: {code: 3}");
        let mut harness = start(&config, Mode::On, 0);
        harness.pass(false, 5).await;
        harness.set(answer, 20).await;
        let events = harness.events();
        assert_eq!(!events.is_empty(), expected, "{becomes} {answer:?}");
        assert!(events.iter().all(|(_, event)| event.became == becomes));
    }
}

#[tokio::test(start_paused = true)]
async fn group_triggers_an_action_after_its_first_result() {
    let when = "probe: groups/g, becomes: unhealthy";
    let config = read_named("x", when, "exit: {code: 3}, coolDownSeconds: 0");
    let mut harness = start(&config, Mode::On, 0);
    harness.set(Answer::Hang, 1).await;
    assert_eq!(
        harness.times(),
        [] as [u64; 0],
        "the probe has no result yet"
    );
    let mut harness = start(&config, Mode::On, 0);
    harness.pass(false, 5).await;
    harness.pass(true, 10).await;
    let events = harness.events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].1.probe, "groups/g");
    assert_eq!(&*events[0].1.output, "livez/a", "the failing member");
    harness.pass(false, 5).await;
    harness.pass(true, 5).await;
    assert_eq!(harness.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn webhook_with_send_resolved_reports_the_end_of_the_trigger() {
    for (flag, expected) in [("true", &[false, true][..]), ("false", &[false])] {
        let effect = format!("webhook: {{url: 'http://h/', sendResolved: {flag}}}");
        let mut harness = start(&read_named("x", UNHEALTHY, &effect), Mode::On, 0);
        harness.pass(true, 5).await;
        harness.pass(false, 5).await;
        let events = harness.events();
        let resolved: Vec<bool> = events.iter().map(|(_, event)| event.resolved).collect();
        assert_eq!(resolved, expected);
    }
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
        let expected = u64::from(outcome.is_some());
        assert_eq!(harness.count("dry_run"), expected, "{mode:?}");
        assert_eq!(harness.count("executed"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn action_that_is_changed_or_renamed_keeps_its_budget_and_trigger() {
    let cool_down = "exit: {code: 3}, coolDownSeconds: 60";
    for changed in [
        read("coolDownSeconds: 60"),
        read("coolDownSeconds: 61"),
        read_named("z", UNHEALTHY, cool_down),
    ] {
        let mut harness = harness("coolDownSeconds: 60", Mode::On);
        harness.pass(true, 5).await;
        harness.actions.apply(&changed.actions);
        harness.pass(true, 30).await;
        assert_eq!(harness.times(), [0]);
        harness.pass(false, 2).await;
        harness.pass(true, 10).await;
        assert_eq!(harness.times(), [] as [u64; 0], "the cool-down lasts");
        harness.pass(true, 60).await;
        assert_eq!(harness.times().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn removed_action_does_not_run() {
    let mut harness = harness("coolDownSeconds: 0", Mode::On);
    harness.pass(false, 5).await;
    harness.actions.apply(&[]);
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
