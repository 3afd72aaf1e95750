//! Runs an exercise: a Kubernetes client and an HTTP client, nothing else.

mod acts;
mod cause;
mod outages;
mod preflight;
mod rollouts;
mod visits;
mod wait;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use probe::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::visits::{Orders, Visitor};
use super::apply::Applier;
use super::http::Caller;
use super::observe::{AppSeen, Observer, Seen};
use super::record::Recorder;
use super::report::{AssertionResult, Report};
use super::step::Step;
use super::transcript::Transcript;
use super::verdict::Verdict;
use super::{Assertion, Check, Exercise, assertions, catalog};

/// Seconds that a service may take to get an address outside the cluster.
const ADDRESS_TIMEOUT: u64 = 60;

/// Where and how exercises run.
pub(crate) struct RunContext<'a> {
    /// Client of the API server.
    pub(crate) client: Client,
    /// Namespace of all objects.
    pub(crate) namespace: String,
    /// HTTP client for the services.
    pub(crate) caller: &'a dyn Caller,
    /// The cluster's clock: timeouts and `sleep` are in its seconds.
    pub(crate) clock: Clock,
    /// Name of the engine in headings and reports.
    pub(crate) engine: String,
    /// `true` if an image that cannot be pulled once can never be: the embedded node has no registry.
    pub(crate) image_errors_are_final: bool,
    /// Host at which services are called at their node ports; default: their load balancers' addresses.
    pub(crate) node_address: Option<&'a str>,
    /// `true` if objects that exist already may be changed.
    pub(crate) force: bool,
    /// Directory for recordings.
    pub(crate) record: Option<&'a Path>,
}

impl RunContext<'_> {
    /// Host and port at which an application's service is called.
    fn address(&self, app: &AppSeen) -> Option<String> {
        match self.node_address {
            None => app.address.clone(),
            Some(host) => Some(format!("{host}:{}", app.node_port?)),
        }
    }
}

/// Why the steps ended early.
enum StepError {
    /// A condition was not met: the exercise fails.
    Failed(String),
    /// The cause is outside the exercise and known: the exercise could not run.
    Blocked(String),
    /// A request failed.
    Error(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for StepError {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Runs one exercise to its verdict and deletes the created objects, also after an interrupt.
///
/// # Errors
/// When the transcript cannot be written, or created objects cannot be deleted.
pub(crate) async fn run(
    exercise: &Exercise,
    context: &RunContext<'_>,
    transcript: &mut Transcript<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let mut applier = Applier::new(context.client.clone(), &context.namespace);
    let is_free = async {
        if context.force {
            return Ok(());
        }
        preflight::ensure_no_conflicts(exercise, &applier).await?;
        preflight::wait_for_leftover_pods(exercise, context).await
    };
    let not_started = |verdict, reason| {
        Report::not_started(
            exercise,
            &context.engine,
            &context.namespace,
            verdict,
            reason,
        )
    };
    match stop.run_until_cancelled(is_free).await {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            let reason = Some(format!("{error:#}"));
            return Ok(not_started(Verdict::Error, reason));
        }
        None => return Ok(not_started(Verdict::Interrupted, None)),
    }
    transcript.heading(&format!(
        "{}: {} ({}, namespace {})",
        exercise.name, exercise.title, context.engine, context.namespace
    ))?;
    let (result, report, recorder) =
        run_steps(exercise, context, &mut applier, transcript, stop).await;
    // The observed changes of the clean-up are not part of the exercise.
    let recorder = match recorder {
        Some(recorder) => Some(recorder.stop().await),
        None => None,
    };
    let deleted = applier.clean_up(&context.clock).await;
    if let Err(error) = result {
        let left = deleted
            .err()
            .map(|left| format!("created objects could not be deleted: {left:#}"));
        return Err(left.into_iter().fold(error, anyhow::Error::context));
    }
    let deleted = deleted.context("created objects could not be deleted")?;
    if let (Some(recorder), Some(dir)) = (&recorder, context.record)
        && report.verdict != Verdict::Interrupted
    {
        recorder.finish(&report).await?.write(dir)?;
    }
    report.print(transcript)?;
    for name in deleted {
        transcript.line(&format!("{name} deleted"))?;
    }
    Ok(report)
}

/// Runs the steps until the last one, an error or an interrupt. The error is that of the transcript.
async fn run_steps(
    exercise: &Exercise,
    context: &RunContext<'_>,
    applier: &mut Applier,
    transcript: &mut Transcript<'_>,
    stop: &CancellationToken,
) -> (anyhow::Result<()>, Report, Option<Recorder>) {
    let observer = Observer::start(&context.client, &context.namespace, exercise);
    let (orders, visitor) = Visitor::new(context, &observer);
    let recorder = context.record.map(|_| {
        Recorder::start(
            &context.client,
            &context.namespace,
            &context.clock,
            exercise,
        )
    });
    let run = Run {
        exercise,
        context,
        observer: &observer,
        orders,
        recorder: recorder.as_ref(),
        seen: observer.subscribe(),
        results: Mutex::default(),
        expected_failures: Mutex::default(),
    };
    let work = async {
        tokio::select! {
            done = run.steps(applier, transcript) => done,
            never = visitor.visits() => match never {},
        }
    };
    let ended = stop.run_until_cancelled(work).await;
    let assertions = run.assertion_results();
    let verdict = Report::verdict_of(&assertions);
    let mut report =
        Report::not_started(exercise, &context.engine, &context.namespace, verdict, None);
    report.assertions = assertions;
    report
        .outages
        .clone_from(&observer.subscribe().borrow().outages);
    let mut result = Ok(());
    match ended {
        Some(Ok(())) => {}
        Some(Err(StepError::Failed(reason))) => {
            (report.verdict, report.reason) = (Verdict::Fail, Some(reason));
        }
        Some(Err(StepError::Blocked(reason))) => {
            (report.verdict, report.reason) = (Verdict::Error, Some(reason));
        }
        Some(Err(StepError::Error(error))) if is_broken_pipe(&error) => result = Err(error),
        Some(Err(StepError::Error(error))) => {
            (report.verdict, report.reason) = (Verdict::Error, Some(format!("{error:#}")));
        }
        None => {
            report.verdict = Verdict::Interrupted;
            let deleting =
                "(interrupted: deleting the created objects; a second Ctrl-C stops immediately)";
            // The reader of the transcript may be closed already; the clean-up comes first.
            let _ = transcript.note(deleting);
        }
    }
    // A failed check outweighs an error that follows it.
    let failed = report
        .assertions
        .iter()
        .any(|result| result.verdict == Verdict::Fail);
    if failed && report.verdict == Verdict::Error {
        report.verdict = Verdict::Fail;
    }
    (result, report, recorder)
}

/// Returns `true` if the error is that of an output whose reader has closed it.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        io.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
    };
    let kinds = error.chain().filter_map(kind);
    kinds
        .into_iter()
        .any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

struct Run<'a> {
    exercise: &'a Exercise,
    context: &'a RunContext<'a>,
    observer: &'a Observer,
    orders: Orders,
    recorder: Option<&'a Recorder>,
    seen: watch::Receiver<Seen>,
    /// Results so far. A std mutex: nothing awaits while it is held.
    results: Mutex<Vec<AssertionResult>>,
    /// UIDs of the pods whose image failed as the exercise expects. A std mutex as well.
    expected_failures: Mutex<BTreeSet<String>>,
}

impl Run<'_> {
    async fn steps(
        &self,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        for step in &self.exercise.steps {
            if let (Some(recorder), Some(act)) = (self.recorder, step.act()) {
                recorder.act(act);
            }
            match step {
                Step::Say(text) => transcript.note(text)?,
                Step::Mark(text) => {
                    self.observer.note(Seen::mark);
                    transcript.note(text)?;
                }
                Step::Assert(assertion) => self.judge(assertion, transcript)?,
                Step::Apply(path) => {
                    transcript.command(&format!("kubectl apply -f {path}"))?;
                    for manifest in catalog::manifests(path) {
                        for (name, applied) in applier.apply(manifest).await? {
                            transcript.line(&format!("{name} {}", applied.word()))?;
                        }
                    }
                }
                Step::Wait(wait) => self.wait(wait, transcript).await?,
                Step::Get(get) => self.get(get, transcript).await?,
                Step::Call(call) => self.call(call, transcript).await?,
                Step::Logs(logs) => self.logs(logs, transcript).await?,
                Step::Form(form) => self.form(form, transcript).await?,
                Step::Look(look) => self.look(look, transcript).await?,
                Step::Visit(visit) => self.visit(visit, transcript).await?,
                Step::Exec(exec) => self.exec(exec, transcript).await?,
                Step::Scale(scale) => self.scale(scale, transcript).await?,
                Step::Restart(deployment) => self.restart(deployment, transcript).await?,
                Step::Image(image) => self.image(image, transcript).await?,
                Step::Undo(deployment) => self.undo(deployment, transcript).await?,
                Step::Outage(outage) => self.outage(outage, transcript).await?,
                Step::Sleep(seconds) => {
                    transcript.command(&format!("sleep {seconds}"))?;
                    self.context
                        .clock
                        .sleep(Duration::from_secs(*seconds))
                        .await;
                }
            }
        }
        Ok(())
    }

    fn app<'a>(&'a self, of: &'a Option<String>) -> &'a str {
        self.exercise.app(of.as_deref())
    }

    /// Judges an assertion by what has been observed up to now.
    fn judge(
        &self,
        assertion: &Assertion,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&assertion.app);
        let judgement = assertions::judge(&assertion.check, app, &self.seen.borrow());
        let result = AssertionResult::new(assertion, judgement);
        if assertion.check == Check::EveryVisitAnswered {
            let requests = self.seen.borrow().visits.all;
            transcript.line(&format!("({requests} requests so far)"))?;
        }
        result.print(transcript)?;
        self.results().push(result);
        Ok(())
    }

    fn results(&self) -> std::sync::MutexGuard<'_, Vec<AssertionResult>> {
        self.results.lock().expect("no holder of this lock panics")
    }

    /// Results of all assertions. Those that were not reached are not judged.
    fn assertion_results(&self) -> Vec<AssertionResult> {
        let mut results = std::mem::take(&mut *self.results());
        let left = self.exercise.assertions().skip(results.len());
        results.extend(left.map(AssertionResult::not_reached));
        results
    }
}

#[cfg(test)]
mod tests;
