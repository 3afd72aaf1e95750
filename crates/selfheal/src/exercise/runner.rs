//! Carries an exercise out: a Kubernetes client and an HTTP caller, nothing else.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use anyhow::{Context as _, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client, ResourceExt as _};
use probe::Clock;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::apply::Applier;
use super::http::Caller;
use super::observe::{Observer, Seen};
use super::report::{Report, Verdict};
use super::transcript::Transcript;
use super::{Call, Exercise, Get, Logs, Resource, Step, Wait, catalog, claims, table};

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
    /// Whether objects that exist already may be changed.
    pub(crate) force: bool,
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
    refuse_existing(exercise, place, &applier).await?;
    transcript.heading(&format!(
        "{}: {} ({})",
        exercise.name, exercise.title, place.engine
    ))?;
    let observer = Observer::start(&place.client, &place.namespace, exercise);
    let run = Run {
        exercise,
        place,
        observer: &observer,
        seen: observer.subscribe(),
    };
    let result = stop
        .run_until_cancelled(run.steps(&mut applier, transcript))
        .await;
    let seen = run.seen.borrow().clone();
    let cleaned = applier.clean_up().await;
    let stopped = match result {
        Some(Ok(())) => None,
        Some(Err(Stop::Unmet(what))) => Some(what),
        Some(Err(Stop::Broken(error))) => return Err(error),
        None => bail!("interrupted; what the exercise made is deleted"),
    };
    let report = judge(exercise, place.engine, stopped, &seen);
    report.print(transcript)?;
    for name in cleaned? {
        transcript.line(&format!("{name} deleted"))?;
    }
    Ok(report)
}

async fn refuse_existing(
    exercise: &Exercise,
    place: &Place<'_>,
    applier: &Applier,
) -> anyhow::Result<()> {
    if place.force {
        return Ok(());
    }
    for step in &exercise.steps {
        let Step::Apply(path) = step else { continue };
        let found = applier.existing(text_of(path)?).await?;
        if !found.is_empty() {
            bail!(
                "{} is there already; delete it or say --force to change it",
                found.join(", ")
            );
        }
    }
    Ok(())
}

fn text_of(path: &str) -> anyhow::Result<&'static str> {
    catalog::manifest(path).with_context(|| format!("no manifest {path:?}"))
}

fn judge(exercise: &Exercise, engine: &str, stopped: Option<String>, seen: &Seen) -> Report {
    let verdict = |claim: &super::Claim| {
        let judged = claims::judge(&claim.holds, seen);
        Verdict {
            claim: claim.says.clone(),
            holds: judged.is_ok(),
            observed: judged.err(),
        }
    };
    let claims = exercise.claims.iter().map(verdict).collect();
    Report {
        exercise: exercise.name.clone(),
        engine: engine.to_owned(),
        stopped,
        claims,
    }
}

struct Run<'a> {
    exercise: &'a Exercise,
    place: &'a Place<'a>,
    observer: &'a Observer,
    seen: watch::Receiver<Seen>,
}

impl Run<'_> {
    async fn steps(
        &self,
        applier: &mut Applier,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), Stop> {
        for step in &self.exercise.steps {
            match step {
                Step::Say(text) => transcript.say(text)?,
                Step::Mark(text) => {
                    self.observer.mark();
                    transcript.say(text)?;
                }
                Step::Apply(path) => {
                    transcript.command(&format!("kubectl apply -f {path}"))?;
                    for (name, applied) in applier.apply(text_of(path)?).await? {
                        transcript.line(&format!("{name} {}", applied.word()))?;
                    }
                }
                Step::Wait(wait) => self.wait(wait, transcript).await?,
                Step::Get(get) => self.get(get, transcript).await?,
                Step::Call(call) => self.call(call, transcript).await?,
                Step::Logs(logs) => self.logs(logs, transcript).await?,
                Step::Sleep(seconds) => {
                    transcript.command(&format!("sleep {seconds}"))?;
                    self.place.clock.sleep(Duration::from_secs(*seconds)).await;
                }
            }
        }
        Ok(())
    }

    async fn wait(&self, wait: &Wait, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        transcript.line(&format!("(waiting for {wait})"))?;
        self.until(
            &wait.to_string(),
            wait.within,
            |seen| seen.meets(wait),
            transcript,
        )
        .await?;
        Ok(())
    }

    /// Waits by watch, not by asking again and again.
    async fn until(
        &self,
        what: &str,
        within: u64,
        holds: impl FnMut(&Seen) -> bool + Send,
        transcript: &Transcript<'_>,
    ) -> Result<Seen, Stop> {
        let clock = &self.place.clock;
        let mut seen = self.seen.clone();
        let mut came_true = std::pin::pin!(seen.wait_for(holds));
        let mut deadline = std::pin::pin!(clock.sleep(Duration::from_secs(within)));
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let began = clock.elapsed();
        let outcome = loop {
            tokio::select! {
                biased;
                seen = &mut came_true => break Ok(seen.context("the watches ended")?.clone()),
                () = &mut deadline => break Err(Stop::Unmet(format!("waited {within} s for {what}"))),
                _ = ticks.tick() => transcript.waiting(what, clock.elapsed().saturating_sub(began).as_secs())?,
            }
        };
        transcript.waited()?;
        outcome
    }

    async fn get(&self, get: &Get, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        let (namespace, exercise) = (&self.place.namespace, self.exercise);
        let wide = if get.wide { " -o wide" } else { "" };
        let (command, path) = match get.resource {
            Resource::Pods => {
                let query: String = url_encode(&exercise.pods);
                let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={query}");
                (format!("kubectl get pods -l {}{wide}", exercise.pods), path)
            }
            Resource::Endpoints => {
                let path = format!(
                    "/api/v1/namespaces/{namespace}/endpoints/{}",
                    exercise.service
                );
                (
                    format!("kubectl get endpoints {}{wide}", exercise.service),
                    path,
                )
            }
        };
        transcript.command(&command)?;
        for line in table::fetch(&self.place.client, &path)
            .await?
            .lines(get.wide)
        {
            transcript.line(&line)?;
        }
        Ok(())
    }

    /// The last word of its kind in the log of each pod's running container.
    async fn logs(&self, logs: &Logs, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        let client = self.place.client.clone();
        let pods = Api::<Pod>::namespaced(client, &self.place.namespace);
        let of_exercise = ListParams::default().labels(&self.exercise.pods);
        let mut found = BTreeMap::new();
        for pod in pods.list(&of_exercise).await.context("listing pods")? {
            let name = pod.name_any();
            transcript.command(&format!("kubectl logs {name} | grep {}", logs.word))?;
            let log = pods.logs(&name, &LogParams::default()).await;
            let log = log.with_context(|| format!("reading the log of {name}"))?;
            for line in log.lines().filter(|line| line.contains(&logs.word)) {
                transcript.line(line)?;
                let word = line
                    .split_whitespace()
                    .find(|word| word.starts_with(&logs.word));
                found.extend(word.map(|word| (name.clone(), word.to_owned())));
            }
        }
        self.observer.logged(found);
        Ok(())
    }

    async fn call(&self, call: &Call, transcript: &mut Transcript<'_>) -> Result<(), Stop> {
        let what = format!("an address of service {}", self.exercise.service);
        let seen = self
            .until(
                &what,
                ADDRESS_WITHIN,
                |seen| seen.address.is_some(),
                transcript,
            )
            .await?;
        let url = format!("http://{}{}", seen.address.unwrap_or_default(), call.path);
        transcript.command(&format!("curl {url}"))?;
        let reply = self.place.caller.get(&url).await?;
        transcript.line(&reply.body)?;
        if reply.status == call.status {
            return Ok(());
        }
        Err(Stop::Unmet(format!(
            "{url} answered {} where {} was expected",
            reply.status, call.status
        )))
    }
}

/// Label selectors of the exercises: `=`, `,`, `!` and spaces are all that needs it.
fn url_encode(selector: &str) -> String {
    let encode = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' | '/' => c.to_string(),
        other => other
            .to_string()
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect(),
    };
    selector.chars().map(encode).collect()
}

/// Prints a report for a program.
pub(crate) fn print_json(out: &mut dyn io::Write, reports: &[Report]) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, reports)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests;
