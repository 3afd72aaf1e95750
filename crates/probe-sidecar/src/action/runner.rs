//! Loop of one action.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::backoff::Backoff;
use super::budget::Throttled;
use super::trigger::{Trigger, TriggerState, reset_trigger};
use super::{Event, Mode, Progress, Shared, SharedProgress};
use crate::engine;
use crate::spec::{ActionKind, ActionSpec, Member};

/// Interval of re-evaluation of groups, which change with the age of results, too.
const GROUP_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the action until the future is dropped or the engine is dropped.
pub(super) async fn run(shared: Arc<Shared>, spec: ActionSpec, progress: SharedProgress) {
    let changes = shared.engine.changes();
    let runner = Runner {
        shared,
        spec,
        progress,
        changes,
        state: TriggerState::default(),
        backoff: Backoff::default(),
        logged: None,
    };
    runner.run().await;
}

struct Runner {
    shared: Arc<Shared>,
    spec: ActionSpec,
    progress: SharedProgress,
    changes: Receiver<engine::Event>,
    state: TriggerState,
    backoff: Backoff,
    /// Trigger and reason for which throttling was logged last.
    logged: Option<(Duration, Throttled)>,
}

/// Next step of an action.
enum Step {
    Wait(Option<Duration>),
    Run(Trigger),
    Resolve,
}

impl Runner {
    async fn run(mut self) {
        let mut reset = None;
        loop {
            let trigger = self.state.evaluate(&self.shared.engine, &self.spec);
            let wait = match self.next_step(trigger.or(reset.take())) {
                Step::Wait(wait) => wait,
                Step::Run(trigger) => {
                    self.execute(&trigger).await;
                    continue;
                }
                Step::Resolve => {
                    self.resolve().await;
                    continue;
                }
            };
            match self.wait(wait).await {
                Err(RecvError::Closed) => return,
                Ok(Some(event)) => reset = reset_trigger(&self.spec, &event),
                Ok(None) | Err(RecvError::Lagged(_)) => {}
            }
        }
    }

    /// Waits for an event of the engine, or for a time.
    async fn wait(&mut self, time: Option<Duration>) -> Result<Option<engine::Event>, RecvError> {
        let is_group = matches!(self.spec.source, Member::Group(_));
        let time = match time {
            Some(time) if is_group => Some(time.min(GROUP_CHECK_INTERVAL)),
            None if is_group => Some(GROUP_CHECK_INTERVAL),
            time => time,
        };
        match time {
            None => self.changes.recv().await.map(Some),
            Some(time) => match tokio::time::timeout(time, self.changes.recv()).await {
                Ok(event) => event.map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    fn next_step(&mut self, trigger: Option<Trigger>) -> Step {
        let now = self.shared.now();
        let (handled, is_open) = {
            let progress = self.progress();
            (progress.handled, progress.is_open)
        };
        let Some(trigger) = trigger else {
            return self.next_step_without_trigger(is_open, now);
        };
        if !self.spec.repeat && handled == Some(trigger.since) {
            return Step::Wait(None);
        }
        if let Some(until) = self.backoff.delayed_until(now) {
            return Step::Wait(Some(until - now));
        }
        let throttled = self.progress().budget.throttled_until(now);
        let Some((until, reason)) = throttled else {
            return Step::Run(trigger);
        };
        let is_logged = self.logged == Some((trigger.since, reason));
        if !is_logged && handled != Some(trigger.since) {
            self.audit_throttling(reason, until - now);
            self.logged = Some((trigger.since, reason));
        }
        Step::Wait(Some(until - now))
    }

    fn next_step_without_trigger(&mut self, is_open: bool, now: Duration) -> Step {
        if !is_open || self.shared.engine.is_stopped() {
            self.backoff.reset();
            return Step::Wait(None);
        }
        match self.backoff.delayed_until(now) {
            Some(until) => Step::Wait(Some(until - now)),
            None => Step::Resolve,
        }
    }

    fn audit_throttling(&self, reason: Throttled, left: Duration) {
        let left = left.as_secs();
        let detail = match reason {
            Throttled::CoolDown => format!("cool-down: {left} s left"),
            Throttled::Budget => format!("budget exhausted: {left} s left"),
        };
        self.shared.audit(&self.spec, "throttled", &detail);
    }

    async fn execute(&mut self, trigger: &Trigger) {
        let now = self.shared.now();
        // An action may end this process, so the run is saved before.
        self.record(|progress| progress.budget.record(now));
        let event = self.event(Some(trigger));
        let is_dry_run = self.spec.dry_run || self.shared.mode == Mode::DryRun;
        let result = if is_dry_run {
            self.shared
                .audit(&self.spec, "dry_run", "would have been executed");
            Ok(())
        } else {
            self.run_effect(&event).await
        };
        if result.is_err() {
            self.record(|progress| progress.budget.undo());
            return;
        }
        let is_open = !is_dry_run && self.sends_resolved();
        let mut progress = self.progress();
        progress.handled = Some(trigger.since);
        progress.is_open = is_open;
    }

    async fn resolve(&mut self) {
        let event = self.event(None);
        if self.run_effect(&event).await.is_ok() {
            self.progress().is_open = false;
        }
    }

    /// Executes the effect, and sets the back-off if it fails.
    async fn run_effect(&mut self, event: &Event) -> Result<(), ()> {
        match self.shared.executor.execute(&self.spec.effect, event).await {
            Ok(detail) => {
                self.shared.audit(&self.spec, "executed", &detail);
                self.backoff.reset();
                Ok(())
            }
            Err(error) => {
                self.shared.audit(&self.spec, "failed", &error);
                self.backoff.record_failure(self.shared.now());
                Err(())
            }
        }
    }

    fn sends_resolved(&self) -> bool {
        matches!(
            self.spec.effect,
            ActionKind::Webhook {
                send_resolved: true,
                ..
            }
        )
    }

    /// Changes the budget and saves it.
    fn record(&self, change: impl FnOnce(&mut Progress)) {
        let runs = {
            let mut progress = self.progress();
            change(&mut progress);
            progress.budget.runs()
        };
        if let Some(file) = &self.shared.state_file
            && let Err(error) = file.save(&self.spec.name, &runs)
        {
            let action = &self.spec.name;
            tracing::error!(action, %error, "cannot save the budget of the action");
        }
    }

    /// Returns the event of a trigger, or of its end.
    fn event(&self, trigger: Option<&Trigger>) -> Event {
        let reason = trigger.and_then(|trigger| trigger.reason);
        Event {
            action: self.spec.name.clone(),
            probe: self.spec.source.to_string(),
            became: self.spec.becomes.as_str(),
            resolved: trigger.is_none(),
            reason: reason.map(|reason| reason.kind),
            code: reason.and_then(|reason| reason.code),
            output: trigger
                .map(|trigger| trigger.output.clone())
                .unwrap_or_default(),
            at: format!("{:.3}", self.shared.engine.clock().now()),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
