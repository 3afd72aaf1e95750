//! Steps that change or query the cluster, each with the command of the same effect in the transcript.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{AttachParams, ListParams, LogParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::http_load::LoadSpec;
use super::{ADDRESS_TIMEOUT_SECONDS, ExerciseRun, StepError};
use crate::exercise::http::{HttpClient as _, RetryOnConnect};
use crate::exercise::observe::Observations;
use crate::exercise::step::{Call, Exec, ExpectPage, Get, Load, Logs, Resource, Scale, SubmitForm};
use crate::exercise::transcript::Transcript;
use crate::exercise::{form, page, selector, table};

/// Interval between requests for a page, on the cluster's clock.
const PAGE_POLL_INTERVAL: Duration = Duration::from_secs(1);

impl ExerciseRun<'_> {
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
                let query = utf8_percent_encode(&selector, NON_ALPHANUMERIC);
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
            recorder.record_table(&command, &table, get.wide);
        }
        for line in table.lines(get.wide) {
            transcript.line(&line)?;
        }
        Ok(())
    }

    /// Searches the log of each pod's running container for the last word with the prefix.
    pub(super) async fn logs(
        &self,
        logs: &Logs,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let client = self.context.client.clone();
        let pods = Api::<Pod>::namespaced(client, &self.context.namespace);
        let app = self.app(&logs.app);
        let by_app = ListParams::default().labels(&selector(app));
        let mut found = BTreeMap::new();
        for pod in pods.list(&by_app).await.context("listing pods")? {
            let name = pod.name_any();
            transcript.command(&format!("kubectl logs {name} | grep {}", logs.prefix))?;
            let log = pods.logs(&name, &LogParams::default()).await;
            let log = log.with_context(|| format!("reading the log of {name}"))?;
            for line in log.lines().filter(|line| line.contains(&logs.prefix)) {
                transcript.line(line)?;
                let word = line
                    .split_whitespace()
                    .find(|word| word.starts_with(&logs.prefix));
                found.extend(word.map(|word| (name.clone(), word.to_owned())));
            }
        }
        self.observer
            .update(|observations| observations.app_mut(app).logged = found);
        Ok(())
    }

    /// URL at which an application is called from outside the cluster.
    pub(super) async fn url(
        &self,
        named: &Option<String>,
        path: &str,
        transcript: &Transcript<'_>,
    ) -> Result<String, StepError> {
        let app = self.app(named);
        let condition = match self.context.node_address {
            None => format!("an address of service {app} (without load balancers: --node-address)"),
            Some(_) => format!("a node port of service {app}"),
        };
        let address = |observations: &Observations| self.context.address(observations.app(app));
        let has_address = |observations: &Observations| address(observations).is_some();
        let found = self.wait_until(&condition, ADDRESS_TIMEOUT_SECONDS, has_address, transcript);
        let observations = if self.context.node_address.is_some() {
            found.await?
        } else {
            tokio::select! {
                biased;
                observations = found => observations?,
                cause = self.wait_for_load_balancer_failure() => {
                    transcript.clear_progress()?;
                    return Err(StepError::Blocked(cause?));
                }
            }
        };
        let address = address(&observations).unwrap_or_default();
        Ok(format!("http://{address}{path}"))
    }

    pub(super) async fn call(
        &self,
        call: &Call,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&call.app, &call.path, transcript).await?;
        transcript.command(&format!("curl {url}"))?;
        let response = self.retrying_client().get(&url).await?;
        let status = response.status().as_u16();
        if status != 200 {
            transcript.line(&format!("(status {status})"))?;
        }
        for line in page::lines(&response) {
            transcript.line(&line)?;
        }
        if status == call.status {
            return Ok(());
        }
        Err(StepError::Failed(format!(
            "{url}: expected status {}, received {status}",
            call.status
        )))
    }

    pub(super) async fn submit_form(
        &self,
        form: &SubmitForm,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&form.app, &form.path, transcript).await?;
        let fields: Vec<String> = form
            .fields
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        transcript.line(&format!("(the form at {url}: {})", fields.join(", ")))?;
        let response = form::submit(&self.retrying_client(), &url, &form.fields).await?;
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        Err(StepError::Failed(format!(
            "the form at {url} was not accepted: status {status}"
        )))
    }

    /// Requests the page until it contains the text: its backend may still be starting.
    pub(super) async fn expect_page(
        &self,
        expected: &ExpectPage,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let ExpectPage {
            app,
            path,
            contains,
            timeout_seconds,
        } = expected;
        let url = self.url(app, path, transcript).await?;
        transcript.command(&format!("curl {url}"))?;
        let clock = &self.context.clock;
        let deadline = clock.elapsed() + Duration::from_secs(*timeout_seconds);
        let page = loop {
            let observed = match self.context.http.get(&url).await {
                Ok(page) if page.body().contains(contains) => break page,
                Ok(page) => format!("status {}", page.status().as_u16()),
                Err(error) => format!("{error:#}"),
            };
            if clock.elapsed() >= deadline {
                return Err(StepError::Failed(format!(
                    "{url} did not contain {contains:?} within {timeout_seconds} s: {observed}"
                )));
            }
            clock.sleep(PAGE_POLL_INTERVAL).await;
        };
        for line in page::lines(&page) {
            transcript.line(&line)?;
        }
        self.observer
            .update(|observations| observations.page_texts.extend([contains.clone()]));
        Ok(())
    }

    pub(super) async fn start_load(
        &self,
        load: &Load,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let url = self.url(&load.app, &load.path, transcript).await?;
        let frequency = match load.interval_millis {
            1000 => "once a second".to_owned(),
            interval => format!("every {interval} ms"),
        };
        transcript.line(&format!(
            "(a client requests {url} {frequency} from here on)"
        ))?;
        // Connections are refused until the proxies of all nodes have the service; these do not count.
        let _ = self.retrying_client().get(&url).await;
        self.load.start(LoadSpec {
            url,
            status: load.status,
            interval: Duration::from_millis(load.interval_millis),
        });
        Ok(())
    }

    /// Runs a command and ignores its exit code: the command may terminate its own container.
    pub(super) async fn exec(
        &self,
        exec: &Exec,
        transcript: &mut Transcript<'_>,
    ) -> Result<(), StepError> {
        let app = self.app(&exec.app);
        let observations = self.observations.borrow().clone();
        let pod = observations.app(app).preferably_ready_pod();
        let pod = pod.ok_or_else(|| StepError::Failed(format!("{app} has no pod")))?;
        let container = exec.container.as_ref().map(|name| format!(" -c {name}"));
        let container = container.unwrap_or_default();
        transcript.command(&format!(
            "kubectl exec {pod}{container} -- sh -c \"{}\"",
            exec.sh
        ))?;
        let client = self.context.client.clone();
        let pods = Api::<Pod>::namespaced(client, &self.context.namespace);
        let parameters = AttachParams {
            container: exec.container.clone(),
            ..AttachParams::default().stderr(false)
        };
        let mut process = pods
            .exec(pod, ["sh", "-c", &exec.sh], &parameters)
            .await
            .with_context(|| format!("running a command in {pod}"))?;
        let mut output = String::new();
        if let Some(mut stdout) = process.stdout() {
            // The stream breaks if the command terminates the container.
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

    fn retrying_client(&self) -> RetryOnConnect<'_> {
        RetryOnConnect {
            http: self.context.http,
            clock: &self.context.clock,
            timeout: Duration::from_secs(ADDRESS_TIMEOUT_SECONDS),
        }
    }

    pub(super) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.context.client.clone(), &self.context.namespace)
    }
}
