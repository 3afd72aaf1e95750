//! Runs an exercise. Uses a Kubernetes client and an HTTP client only.

mod cause;
mod http_load;
mod outage;
mod preconditions;
mod rollout;
mod steps;
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

use self::http_load::{LoadGenerator, LoadStarter};
use super::apply::Applier;
use super::http::HttpClient;
use super::observe::{AppState, Observations, Observer};
use super::report::{AssertionResult, Report};
use super::step::Step;
use super::transcript::Transcript;
use super::verdict::Verdict;
use super::{Assertion, Check, Exercise, assertions, catalog};
use crate::recording::write::Recorder;

/// Timeout for the address of a service outside the cluster, on the cluster's clock.
const ADDRESS_TIMEOUT_SECONDS: u64 = 60;

/// Cluster and options of a run.
pub(crate) struct RunContext<'a> {
    /// Client of the API server.
    pub(crate) client: Client,
    /// Namespace of all objects.
    pub(crate) namespace: String,
    /// HTTP client for the services.
    pub(crate) http: &'a dyn HttpClient,
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
    fn address(&self, app: &AppState) -> Option<String> {
        match self.node_address {
            None => app.address.clone(),
            Some(host) => Some(format!("{host}:{}", app.node_port?)),
        }
    }
}

/// Reason why the steps ended early.
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
    let preconditions = async {
        if context.force {
            return Ok(());
        }
        preconditions::ensure_no_conflicts(exercise, &applier).await?;
        preconditions::wait_for_leftover_pods(exercise, context).await
    };
    let without_results = |verdict, reason| {
        Report::without_results(
            exercise,
            &context.engine,
            &context.namespace,
            verdict,
            reason,
        )
    };
    match stop.run_until_cancelled(preconditions).await {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            let reason = Some(format!("{error:#}"));
            return Ok(without_results(Verdict::Error, reason));
        }
        None => return Ok(without_results(Verdict::Interrupted, None)),
    }
    transcript.heading(&format!(
        "{}: {} ({}, namespace {})",
        exercise.name, exercise.title, context.engine, context.namespace
    ))?;
    let (result, report, recorder) =
        run_steps(exercise, context, &mut applier, transcript, stop).await;
    // Changes during the clean-up are not part of the recording.
    let recorder = match recorder {
        Some(recorder) => Some(recorder.stop().await),
        None => None,
    };
    let deleted = applier.clean_up(&context.clock).await;
    let clean_up_failed = "created objects could not be deleted";
    if let Err(error) = result {
        let clean_up = deleted
            .err()
            .map(|left| format!("{clean_up_failed}: {left:#}"));
        return Err(clean_up.into_iter().fold(error, anyhow::Error::context));
    }
    let deleted = deleted.context(clean_up_failed)?;
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
    let (load, load_generator) = LoadGenerator::new(context, &observer);
    let recorder = context.record.map(|_| {
        Recorder::start(
            &context.client,
            &context.namespace,
            &context.clock,
            exercise,
        )
    });
    let run = ExerciseRun {
        exercise,
        context,
        observer: &observer,
        load,
        recorder: recorder.as_ref(),
        observations: observer.subscribe(),
        results: Mutex::default(),
        expected_failures: Mutex::default(),
    };
    let work = async {
        tokio::select! {
            result = run.run_steps(applier, transcript) => result,
            never = load_generator.run() => match never {},
        }
    };
    let outcome = stop.run_until_cancelled(work).await;
    let assertions = run.assertion_results();
    let verdict = Report::combined_verdict(&assertions);
    let mut report =
        Report::without_results(exercise, &context.engine, &context.namespace, verdict, None);
    report.assertions = assertions;
    report
        .outages
        .clone_from(&observer.subscribe().borrow().outages);
    let mut result = Ok(());
    match outcome {
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
    let has_failed = report
        .assertions
        .iter()
        .any(|result| result.verdict == Verdict::Fail);
    if has_failed && report.verdict == Verdict::Error {
        report.verdict = Verdict::Fail;
    }
    (result, report, recorder)
}

/// Returns `true` if the error is that of an output whose reader has closed it.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io_error_kind = |cause: &(dyn std::error::Error + 'static)| {
        let kind = cause
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        kind.or_else(|| cause.downcast_ref::<serde_json::Error>()?.io_error_kind())
    };
    let mut kinds = error.chain().filter_map(io_error_kind);
    kinds.any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

/// State of a running exercise.
struct ExerciseRun<'a> {
    exercise: &'a Exercise,
    context: &'a RunContext<'a>,
    observer: &'a Observer,
    load: LoadStarter,
    recorder: Option<&'a Recorder>,
    observations: watch::Receiver<Observations>,
    /// Results so far. A std mutex: it is not held across an await.
    results: Mutex<Vec<AssertionResult>>,
    /// UIDs of the pods whose image failed as the exercise expects. A std mutex as well.
    expected_failures: Mutex<BTreeSet<String>>,
}

impl ExerciseRun<'_> {
    async fn run_steps(
        &self,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        for step in &self.exercise.steps {
            if let (Some(recorder), Some(action)) = (self.recorder, step.action()) {
                recorder.record_action(action);
            }
            self.run_step(step, applier, transcript).await?;
        }
        Ok(())
    }

    async fn run_step(
        &self,
        step: &Step,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        match step {
            Step::Note(text) => transcript.note(text)?,
            Step::Checkpoint(text) => {
                self.observer.update(Observations::set_checkpoint);
                transcript.note(text)?;
            }
            Step::Assert(assertion) => self.judge(assertion, transcript)?,
            Step::Apply(path) => self.apply(path, applier, transcript).await?,
            Step::Wait(wait) => self.wait(wait, transcript).await?,
            Step::Get(get) => self.get(get, transcript).await?,
            Step::Call(call) => self.call(call, transcript).await?,
            Step::Logs(logs) => self.logs(logs, transcript).await?,
            Step::SubmitForm(form) => self.submit_form(form, transcript).await?,
            Step::ExpectPage(page) => self.expect_page(page, transcript).await?,
            Step::Load(load) => self.start_load(load, transcript).await?,
            Step::Exec(exec) => self.exec(exec, transcript).await?,
            Step::Scale(scale) => self.scale(scale, transcript).await?,
            Step::RolloutRestart(app) => self.restart_rollout(app, transcript).await?,
            Step::SetImage(image) => self.set_image(image, transcript).await?,
            Step::RolloutUndo(app) => self.undo_rollout(app, transcript).await?,
            Step::Outage(outage) => self.measure_outage(outage, transcript).await?,
            Step::Sleep(seconds) => {
                transcript.command(&format!("sleep {seconds}"))?;
                let duration = Duration::from_secs(*seconds);
                self.context.clock.sleep(duration).await;
            }
        }
        Ok(())
    }

    async fn apply(
        &self,
        path: &str,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        transcript.command(&format!("kubectl apply -f {path}"))?;
        for manifest in catalog::manifests(path) {
            for (name, applied) in applier.apply(manifest).await? {
                transcript.line(&format!("{name} {}", applied.as_str()))?;
            }
        }
        Ok(())
    }

    fn app<'a>(&'a self, named: &'a Option<String>) -> &'a str {
        self.exercise.app(named.as_deref())
    }

    /// Judges an assertion by the current observations.
    fn judge(
        &self,
        assertion: &Assertion,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&assertion.app);
        let judgement = assertions::judge(&assertion.check, app, &self.observations.borrow());
        let result = AssertionResult::new(assertion, judgement);
        if assertion.check == Check::NoFailedRequests {
            let requests = self.observations.borrow().load.requests;
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
        let not_reached = self.exercise.assertions().skip(results.len());
        results.extend(not_reached.map(AssertionResult::not_reached));
        results
    }
}

#[cfg(test)]
mod tests;
