//! Carries an exercise out: a Kubernetes client and an HTTP caller, nothing else.

mod acts;
mod outages;
mod rollouts;
mod room;
mod visits;

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context as _, bail};
use kube::Client;
use probe::Clock;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use self::visits::{Orders, Visitor};
use super::apply::Applier;
use super::http::Caller;
use super::observe::{AppSeen, Observer, Seen};
use super::record::Recorder;
use super::report::{Report, Verdict};
use super::step::{Step, Wait};
use super::transcript::Transcript;
use super::{Check, Claim, Exercise, catalog, claims};

/// How long a service may take to get an address outside the cluster.
const ADDRESS_WITHIN: u64 = 60;

/// Where an exercise runs.
pub(crate) struct Place<'a> {
    /// Speaks to the API server.
    pub(crate) client: Client,
    /// The namespace everything is made in.
    pub(crate) namespace: String,
    /// Calls services.
    pub(crate) caller: &'a dyn Caller,
    /// The cluster's pace: `within` and `sleep` are in its seconds.
    pub(crate) clock: Clock,
    /// How the heading and the verdict name it.
    pub(crate) engine: &'a str,
    /// Where services are called, at their node ports; without it, where their load balancers are.
    pub(crate) node_address: Option<&'a str>,
    /// Whether objects that exist already may be changed.
    pub(crate) force: bool,
    /// The folder that recordings go to, where any are made.
    pub(crate) record: Option<&'a Path>,
}

impl Place<'_> {
    /// Host and port at which an application's service is called.
    fn address(&self, app: &AppSeen) -> Option<String> {
        match self.node_address {
            None => app.address.clone(),
            Some(host) => Some(format!("{host}:{}", app.node_port?)),
        }
    }
}

/// Why the steps ended early.
enum Stop {
    /// Something did not come true: the exercise fails.
    Unmet(String),
    /// It could not be carried on.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// Runs one exercise to its verdict, and deletes what it made, also when it is interrupted.
pub(crate) async fn run(
    exercise: &Exercise,
    place: &Place<'_>,
    transcript: &mut Transcript<'_>,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let mut applier = Applier::new(place.client.clone(), &place.namespace);
    if !place.force {
        room::refuse_existing(exercise, &applier).await?;
        room::outlast(exercise, place).await?;
    }
    transcript.heading(&format!(
        "{}: {} ({})",
        exercise.name, exercise.title, place.engine
    ))?;
    let observer = Observer::start(&place.client, &place.namespace, exercise);
    let (orders, visitor) = Visitor::new(place, &observer);
    let recorder = place
        .record
        .map(|_| Recorder::start(&place.client, &place.namespace, &place.clock, exercise));
    let run = Run {
        exercise,
        place,
        observer: &observer,
        orders,
        recorder: recorder.as_ref(),
        seen: observer.subscribe(),
        verdicts: Mutex::default(),
    };
    let work = async {
        tokio::select! {
            done = run.steps(&mut applier, transcript) => done,
            never = visitor.visits() => match never {},
        }
    };
    let result = stop.run_until_cancelled(work).await;
    if result.is_none() {
        // Pods take their time to end. Whoever interrupts hears that something is going on.
        let _ = transcript.line("(interrupted; deleting what was made)");
    }
    let claims = run.verdicts();
    // What the clean-up changes is no part of the exercise.
    let recorder = match recorder {
        Some(recorder) => Some(recorder.stop().await),
        None => None,
    };
    let cleaned = applier.clean_up(&place.clock).await;
    let stopped = match result {
        Some(Ok(())) => None,
        Some(Err(Stop::Unmet(what))) => Some(what),
        Some(Err(Stop::Broken(error))) => return Err(with_clean_up(error, &cleaned)),
        None => {
            cleaned.context("interrupted, and what the exercise made could not be deleted")?;
            bail!("interrupted; what the exercise made is deleted")
        }
    };
    let report = Report {
        exercise: exercise.name.clone(),
        engine: place.engine.to_owned(),
        stopped,
        outages: observer.subscribe().borrow().outages.clone(),
        claims,
    };
    if let (Some(recorder), Some(folder)) = (&recorder, place.record) {
        recorder.finish(&report).await?.write(folder)?;
    }
    report.print(transcript)?;
    for name in cleaned? {
        transcript.line(&format!("{name} deleted"))?;
    }
    Ok(report)
}

/// Says beside an error that the way back failed, too.
fn with_clean_up(error: anyhow::Error, cleaned: &anyhow::Result<Vec<String>>) -> anyhow::Error {
    match cleaned {
        Ok(_) => error,
        Err(left) => error.context(format!("what was made could not be deleted: {left:#}")),
    }
}

struct Run<'a> {
    exercise: &'a Exercise,
    place: &'a Place<'a>,
    observer: &'a Observer,
    orders: Orders,
    recorder: Option<&'a Recorder>,
    seen: watch::Receiver<Seen>,
    /// What was judged so far. A std mutex: nothing awaits while it is held.
    verdicts: Mutex<Vec<Verdict>>,
}

impl Run<'_> {
    async fn steps(
        &self,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), Stop> {
        for step in &self.exercise.steps {
            if let (Some(recorder), Some(act)) = (self.recorder, step.act()) {
                recorder.act(act);
            }
            match step {
                Step::Say(text) => transcript.say(text)?,
                Step::Mark(text) => {
                    self.observer.note(Seen::mark);
                    transcript.say(text)?;
                }
                Step::Claim(claim) => self.judge(claim, transcript)?,
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
                    self.place.clock.sleep(Duration::from_secs(*seconds)).await;
                }
            }
        }
        Ok(())
    }

    fn app<'a>(&'a self, of: &'a Option<String>) -> &'a str {
        self.exercise.app(of.as_deref())
    }

    /// Judges a claim by what has been seen up to now.
    fn judge(&self, claim: &Claim, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        let judged = claims::judge(&claim.holds, self.app(&claim.of), &self.seen.borrow());
        let verdict = Verdict::new(claim, judged.err());
        if claim.holds == Check::EveryVisitAnswered {
            let visits = self.seen.borrow().visits.all;
            transcript.line(&format!("({visits} visits so far)"))?;
        }
        verdict.print(transcript)?;
        self.lock().push(verdict);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Verdict>> {
        self.verdicts
            .lock()
            .expect("nothing panics while it holds the verdicts")
    }

    /// Every claim's verdict. Those that the exercise did not get to are judged by where it ended.
    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = std::mem::take(&mut *self.lock());
        let left = self.exercise.claims().skip(verdicts.len());
        let seen = self.seen.borrow();
        verdicts.extend(left.map(|claim| {
            let judged = claims::judge(&claim.holds, self.app(&claim.of), &seen);
            Verdict::new(claim, judged.err())
        }));
        verdicts
    }

    async fn wait(&self, wait: &Wait, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        transcript.line(&format!("(waiting for {wait})"))?;
        let app = self.app(&wait.of);
        self.until(
            &wait.to_string(),
            wait.within,
            |seen| seen.app(app).meets(wait),
            transcript,
        )
        .await?;
        Ok(())
    }

    fn in_vain(&self, within: u64, what: &str) -> Stop {
        let complaints = self.seen.borrow().complaints();
        Stop::Unmet(format!("waited {within} s for {what}{complaints}"))
    }

    /// Waits by watch, not by asking again and again.
    async fn until(
        &self,
        what: &str,
        within: u64,
        holds: impl FnMut(&Seen) -> bool + Send,
        transcript: &Transcript<'_>,
    ) -> Result<Seen, Stop> {
        let mut seen = self.seen.clone();
        let came_true = async {
            let seen = seen.wait_for(holds).await.context("the watches ended")?;
            Ok(seen.clone())
        };
        self.patiently(what, within, came_true, transcript).await
    }

    /// Waits for work to end, and tells a person at the terminal for how long it has been waited for.
    async fn patiently<T>(
        &self,
        what: &str,
        within: u64,
        work: impl Future<Output = anyhow::Result<T>>,
        transcript: &Transcript<'_>,
    ) -> Result<T, Stop> {
        let clock = &self.place.clock;
        let mut work = std::pin::pin!(work);
        let mut deadline = std::pin::pin!(clock.sleep(Duration::from_secs(within)));
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let began = clock.elapsed();
        let outcome = loop {
            tokio::select! {
                biased;
                done = &mut work => break done.map_err(Stop::from),
                () = &mut deadline => break Err(self.in_vain(within, what)),
                _ = ticks.tick() => transcript.waiting(what, clock.elapsed().saturating_sub(began).as_secs())?,
            }
        };
        transcript.waited()?;
        outcome
    }
}

/// Prints a report for a program.
pub(crate) fn print_json(out: &mut dyn io::Write, reports: &[Report]) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, reports)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests;
