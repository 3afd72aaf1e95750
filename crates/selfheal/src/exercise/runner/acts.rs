//! The steps that act on the cluster or look at it, each as the command that a reader would type.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, ListParams, LogParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::visits::Order;
use super::{ADDRESS_TIMEOUT, Run, StepError};
use crate::exercise::http::{Caller as _, Patient};
use crate::exercise::observe::Seen;
use crate::exercise::step::{Call, Exec, Form, Get, Logs, Look, Resource, Scale, Visit};
use crate::exercise::transcript::Transcript;
use crate::exercise::{form, page, selector, table};

/// Interval between requests for a page.
const PERIOD: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) async fn get(
        &self,
        get: &Get,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let (namespace, app) = (&self.context.namespace, self.app(&get.app));
        let selector = selector(app);
        let wide = if get.wide { " -o wide" } else { "" };
        let (command, path) = match get.resource {
            Resource::Pods => {
                let query: String = url_encode(&selector);
                let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={query}");
                (format!("kubectl get pods -l {selector}{wide}"), path)
            }
            Resource::Endpoints => {
                let path = format!("/api/v1/namespaces/{namespace}/endpoints/{app}");
                (format!("kubectl get endpoints {app}{wide}"), path)
            }
        };
        transcript.command(&command)?;
        let table = table::fetch(&self.context.client, &path).await?;
        if let Some(recorder) = self.recorder {
            recorder.table(&command, &table, get.wide);
        }
        for line in table.lines(get.wide) {
            transcript.line(&line)?;
        }
        Ok(())
    }

    /// Finds the last word of its kind in the log of each pod's running container.
    pub(super) async fn logs(
        &self,
        logs: &Logs,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let client = self.context.client.clone();
        let pods = Api::<Pod>::namespaced(client, &self.context.namespace);
        let app = self.app(&logs.app);
        let of_exercise = ListParams::default().labels(&selector(app));
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
        self.observer.note(|seen| seen.app_mut(app).logged = found);
        Ok(())
    }

    /// URL at which an application is called from outside the cluster.
    pub(super) async fn url(
        &self,
        of: &Option<String>,
        path: &str,
        transcript: &Transcript<'_>,
    ) -> Result<String, StepError> {
        let app = self.app(of);
        let what = match self.context.node_address {
            None => format!("an address of service {app} (without load balancers: --node-address)"),
            Some(_) => format!("a node port of service {app}"),
        };
        let address = |seen: &Seen| self.context.address(seen.app(app));
        let has_address = |seen: &Seen| address(seen).is_some();
        let known = self.until(&what, ADDRESS_TIMEOUT, has_address, transcript);
        let seen = if self.context.node_address.is_some() {
            known.await?
        } else {
            tokio::select! {
                biased;
                seen = known => seen?,
                cause = self.load_balancer_failed() => {
                    transcript.clear_progress()?;
                    return Err(StepError::Blocked(cause?));
                }
            }
        };
        let address = address(&seen).unwrap_or_default();
        Ok(format!("http://{address}{path}"))
    }

    pub(super) async fn call(
        &self,
        call: &Call,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&call.app, &call.path, transcript).await?;
        transcript.command(&format!("curl {url}"))?;
        let reply = self.patient().get(&url).await?;
        let status = reply.status().as_u16();
        if status != 200 {
            transcript.line(&format!("(status {status})"))?;
        }
        for line in page::lines(&reply) {
            transcript.line(&line)?;
        }
        if status == call.status {
            return Ok(());
        }
        Err(StepError::Failed(format!(
            "{url} answered {status} where {} was expected",
            call.status
        )))
    }

    pub(super) async fn form(
        &self,
        form: &Form,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&form.app, &form.path, transcript).await?;
        let fields: Vec<String> = form
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        transcript.line(&format!("(the form at {url}: {})", fields.join(", ")))?;
        let answer = form::submit(&self.patient(), &url, &form.fields).await?;
        if answer.status().is_success() || answer.status().is_redirection() {
            return Ok(());
        }
        Err(StepError::Failed(format!(
            "the form at {url} was answered {}",
            answer.status()
        )))
    }

    /// Requests the page until it contains the text: its backend may still be starting.
    pub(super) async fn look(
        &self,
        look: &Look,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&look.app, &look.path, transcript).await?;
        transcript.command(&format!("curl {url}"))?;
        let clock = &self.context.clock;
        let deadline = clock.elapsed() + Duration::from_secs(look.within);
        let page = loop {
            let seen = match self.context.caller.get(&url).await {
                Ok(page) if page.body().contains(&look.shows) => break page,
                Ok(page) => format!("status {}", page.status().as_u16()),
                Err(error) => format!("{error:#}"),
            };
            if clock.elapsed() >= deadline {
                return Err(StepError::Failed(format!(
                    "{url} did not show {:?} within {} s: {seen}",
                    look.shows, look.within
                )));
            }
            clock.sleep(PERIOD).await;
        };
        for line in page::lines(&page) {
            transcript.line(&line)?;
        }
        self.observer
            .note(|seen| seen.shown.extend([look.shows.clone()]));
        Ok(())
    }

    pub(super) async fn visit(
        &self,
        visit: &Visit,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&visit.app, &visit.path, transcript).await?;
        let often = match visit.every {
            1000 => "once a second".to_owned(),
            interval => format!("every {interval} ms"),
        };
        transcript.line(&format!("(a client requests {url} {often} from here on)"))?;
        // Connections are refused until the proxies of every node know the service; these do not count.
        let _ = self.patient().get(&url).await;
        self.orders.give(Order {
            url,
            status: visit.status,
            every: Duration::from_millis(visit.every),
        });
        Ok(())
    }

    /// Runs a command and ignores its exit code: the command may end its own container.
    pub(super) async fn exec(
        &self,
        exec: &Exec,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&exec.app);
        let pod = self.seen.borrow().app(app).a_pod().map(str::to_owned);
        let pod = pod.ok_or_else(|| StepError::Failed(format!("{app} has no pod")))?;
        let of = exec.container.as_ref().map(|name| format!(" -c {name}"));
        let of = of.unwrap_or_default();
        transcript.command(&format!("kubectl exec {pod}{of} -- sh -c \"{}\"", exec.sh))?;
        let client = self.context.client.clone();
        let pods = Api::<Pod>::namespaced(client, &self.context.namespace);
        let parameters = AttachParams {
            container: exec.container.clone(),
            ..AttachParams::default().stderr(false)
        };
        let mut process = pods
            .exec(&pod, ["sh", "-c", &exec.sh], &parameters)
            .await
            .with_context(|| format!("running a command in {pod}"))?;
        let mut output = String::new();
        if let Some(mut stdout) = process.stdout() {
            // The stream ends with the container if the command kills it.
            let _ = stdout.read_to_string(&mut output).await;
        }
        output
            .lines()
            .try_for_each(|line| transcript.line(line))
            .map_err(StepError::from)
    }

    pub(super) async fn scale(
        &self,
        scale: &Scale,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let (app, replicas) = (self.app(&scale.app), scale.replicas);
        transcript.command(&format!(
            "kubectl scale deployment/{app} --replicas={replicas}"
        ))?;
        let patch = json!({"spec": {"replicas": replicas}});
        self.deployments()
            .patch_scale(app, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .with_context(|| format!("scaling deployment {app}"))?;
        transcript.line(&format!("deployment.apps/{app} scaled"))?;
        Ok(())
    }

    fn patient(&self) -> Patient<'_> {
        Patient {
            caller: self.context.caller,
            clock: &self.context.clock,
            within: Duration::from_secs(ADDRESS_TIMEOUT),
        }
    }

    pub(super) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.context.client.clone(), &self.context.namespace)
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
