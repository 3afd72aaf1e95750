use async_trait::async_trait;
use jiff::Timestamp;
use probe::{Clock, ProbeError, Verdict};
use tokio::sync::mpsc;

use super::*;
use crate::attempt::{Attempt, Attempts};
use crate::config::{self, Surroundings};
use crate::finding::Finding;
use crate::spec::{Config, Deed};

/// Well or not, as the test says.
#[derive(Default)]
struct Switch(Mutex<bool>);

#[async_trait]
impl Attempts for Switch {
    async fn make(&self, _: &Attempt, _: Duration) -> Result<Finding, ProbeError> {
        let broken = *self.0.lock().unwrap();
        Ok(Finding {
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

struct Told(mpsc::UnboundedSender<(u64, String)>, Clock);

#[async_trait]
impl Hands for Told {
    async fn act(&self, deed: &Deed, story: &str) -> Result<String, String> {
        let story: serde_json::Value = serde_json::from_str(story).unwrap();
        let line = format!("{deed}: {} {}", story["probe"], story["became"]);
        self.0.send((self.1.elapsed().as_secs(), line)).unwrap();
        Ok(String::new())
    }
}

struct Rig {
    switch: Arc<Switch>,
    engine: Engine,
    actions: Actions,
    told: mpsc::UnboundedReceiver<(u64, String)>,
}

fn read(action: &str) -> Config {
    let text = format!(
        "targets: [{{name: a, livenessProbe: {{tcpSocket: {{port: 1}}, periodSeconds: 1, failureThreshold: 1}}}}]\n\
         actions: [{{name: x, when: {{probe: livez/a}}, exit: {{code: 3}}, {action}}}]"
    );
    config::parse("c", text.as_bytes(), &Surroundings::default()).unwrap()
}

fn rig(action: &str, mode: Mode) -> Rig {
    let clock = Clock::new(Timestamp::UNIX_EPOCH, 1.0);
    let switch = Arc::new(Switch::default());
    let engine = Engine::new(clock.clone(), switch.clone());
    let (tell, told) = mpsc::unbounded_channel();
    let actions = Actions::new(engine.clone(), Arc::new(Told(tell, clock)), mode);
    let config = read(action);
    engine.apply(&config).unwrap();
    actions.apply(&config.actions);
    Rig {
        switch,
        engine,
        actions,
        told,
    }
}

impl Rig {
    async fn pass(&self, broken: bool, seconds: u64) {
        *self.switch.0.lock().unwrap() = broken;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    fn times(&mut self) -> Vec<u64> {
        let mut times = Vec::new();
        while let Ok((at, _)) = self.told.try_recv() {
            times.push(at);
        }
        times
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_is_done_once_for_each_time_the_result_comes() {
    let mut rig = rig("coolDownSeconds: 0", Mode::On);
    rig.pass(false, 5).await;
    rig.pass(true, 100).await;
    rig.pass(false, 5).await;
    rig.pass(true, 100).await;
    assert_eq!(
        rig.told.recv().await.unwrap().1,
        "exit with 3: \"livez/a\" \"unhealthy\""
    );
    assert_eq!(rig.times().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cools_down_is_done_afterwards_if_it_is_still_called_for() {
    let mut rig = rig("coolDownSeconds: 30", Mode::On);
    rig.pass(true, 2).await;
    rig.pass(false, 2).await;
    rig.pass(true, 50).await;
    assert_eq!(rig.times(), [0, 30]);
    rig.pass(false, 2).await;
    rig.pass(true, 2).await;
    rig.pass(false, 100).await;
    assert_eq!(rig.times(), [] as [u64; 0], "it healed by itself");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_action_keeps_to_its_budget() {
    let mut rig = rig(
        "coolDownSeconds: 10, repeat: true, budget: {count: 3, windowSeconds: 100}",
        Mode::On,
    );
    rig.pass(true, 125).await;
    assert_eq!(rig.times(), [0, 10, 20, 100, 110, 120]);
}

#[tokio::test(start_paused = true)]
async fn neither_off_nor_a_dry_run_does_anything() {
    for (action, mode, outcome) in [
        ("dryRun: false", Mode::Off, None),
        ("dryRun: false", Mode::DryRun, Some("dry_run")),
        ("dryRun: true", Mode::On, Some("dry_run")),
    ] {
        let mut rig = rig(action, mode);
        rig.pass(true, 5).await;
        assert_eq!(rig.times(), [] as [u64; 0]);
        let count = |outcome: &str| {
            let labels = [("action", "x".to_owned()), ("outcome", outcome.to_owned())];
            rig.actions.counts().get_or_create(&labels).get()
        };
        assert_eq!(count("dry_run"), u64::from(outcome.is_some()), "{mode:?}");
        assert_eq!(count("done"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_action_that_stays_in_a_reload_remembers() {
    let mut rig = rig("coolDownSeconds: 60", Mode::On);
    rig.pass(true, 5).await;
    let same = read("coolDownSeconds: 60");
    rig.engine.apply(&same).unwrap();
    rig.actions.apply(&same.actions);
    rig.pass(true, 30).await;
    assert_eq!(rig.times(), [0]);
    rig.actions.apply(&[]);
    rig.pass(false, 2).await;
    rig.pass(true, 100).await;
    assert_eq!(rig.times(), [] as [u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_once_probes_have_stopped() {
    let mut rig = rig("coolDownSeconds: 30, repeat: true", Mode::On);
    rig.pass(true, 5).await;
    rig.engine.stop();
    rig.pass(true, 100).await;
    assert_eq!(rig.times(), [0]);
}
