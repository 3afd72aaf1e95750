//! Steps of an exercise.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Assertion;
use super::outage::Outage;

/// One step.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Prints a sentence.
    Note(String),
    /// Applies a manifest of `k8s/`, or those of a directory if the path ends with a slash.
    Apply(String),
    /// Waits for a condition.
    Wait(Wait),
    /// Prints a table as `kubectl get` does.
    Get(Get),
    /// Sends one request to the service.
    Call(Call),
    /// Searches the pods' logs for a word.
    Logs(Logs),
    /// Submits a form as a browser does.
    SubmitForm(SubmitForm),
    /// Requests a page until it contains a text.
    ExpectPage(ExpectPage),
    /// Sends requests at an interval, from here to the end.
    Load(Load),
    /// Runs a command in a pod, if possible a ready one, and ignores its exit code.
    Exec(Exec),
    /// Sets the replicas of a deployment.
    Scale(Scale),
    /// Replaces all pods of a deployment, as `kubectl rollout restart` does.
    RolloutRestart(String),
    /// Replaces the image of a deployment, as `kubectl set image` does.
    SetImage(SetImage),
    /// Returns a deployment to its previous revision, as `kubectl rollout undo` does.
    RolloutUndo(String),
    /// Breaks a service and measures the outage.
    Outage(Outage),
    /// Waits for a number of seconds on the cluster's clock.
    Sleep(u64),
    /// Starts the observations that the next assertions are judged by. The text describes the state at this point.
    Checkpoint(String),
    /// Judges an assertion at this point.
    Assert(Assertion),
}

impl Step {
    /// Applications that the step names.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &String> {
        let page = match self {
            Self::Outage(outage) => outage.detected_at.as_ref(),
            _ => None,
        };
        self.app().into_iter().chain(page.map(|page| &page.app))
    }

    /// Describes the change that the step makes to the cluster; `None` if it only observes.
    pub(crate) fn action(&self) -> Option<String> {
        let named = |app: &Option<String>| {
            app.as_ref()
                .map(|app| format!(" {app}"))
                .unwrap_or_default()
        };
        match self {
            Self::Apply(path) => Some(format!("apply {path}")),
            Self::Call(call) => Some(format!("call{} {}", named(&call.app), call.path)),
            Self::SubmitForm(form) => {
                Some(format!("submit form{} {}", named(&form.app), form.path))
            }
            Self::Exec(exec) => Some(format!("exec{} {}", named(&exec.app), exec.sh)),
            Self::Scale(scale) => Some(format!("scale{} {}", named(&scale.app), scale.replicas)),
            Self::RolloutRestart(app) => Some(format!("rollout restart {app}")),
            Self::SetImage(image) => {
                Some(format!("set image{} {}", named(&image.app), image.image))
            }
            Self::RolloutUndo(app) => Some(format!("rollout undo {app}")),
            Self::Outage(outage) => Some(format!("outage{} {}", named(&outage.app), outage.path)),
            Self::Note(_)
            | Self::Wait(_)
            | Self::Get(_)
            | Self::Logs(_)
            | Self::ExpectPage(_)
            | Self::Load(_)
            | Self::Sleep(_)
            | Self::Checkpoint(_)
            | Self::Assert(_) => None,
        }
    }

    /// Application that the step names; `None` for the exercise's first.
    fn app(&self) -> Option<&String> {
        match self {
            Self::RolloutUndo(app) | Self::RolloutRestart(app) => Some(app),
            Self::SetImage(image) => image.app.as_ref(),
            Self::Assert(assertion) => assertion.app.as_ref(),
            Self::Wait(wait) => wait.app.as_ref(),
            Self::Get(get) => get.app.as_ref(),
            Self::Call(call) => call.app.as_ref(),
            Self::Load(load) => load.app.as_ref(),
            Self::Logs(logs) => logs.app.as_ref(),
            Self::SubmitForm(form) => form.app.as_ref(),
            Self::ExpectPage(page) => page.app.as_ref(),
            Self::Exec(exec) => exec.app.as_ref(),
            Self::Scale(scale) => scale.app.as_ref(),
            Self::Outage(outage) => outage.app.as_ref(),
            Self::Note(_) | Self::Apply(_) | Self::Sleep(_) | Self::Checkpoint(_) => None,
        }
    }
}

/// Conditions that have to hold together before the next step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Wait {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Number of pods, all of them ready.
    pub(crate) ready: Option<usize>,
    /// Number of the service's addresses.
    pub(crate) endpoints: Option<usize>,
    /// Total number of container restarts.
    pub(crate) restarts: Option<i32>,
    /// Every pod was restarted since the checkpoint.
    #[serde(default)]
    pub(crate) each_restarted: bool,
    /// A container waits for this reason.
    pub(crate) waiting: Option<String>,
    /// The rollout of the deployment is complete.
    #[serde(default)]
    pub(crate) rolled_out: bool,
    /// Timeout on the cluster's clock; after it the exercise fails.
    pub(crate) timeout_seconds: u64,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.ready.map(|n| pluralize(n, "ready pod", "ready pods")),
            self.endpoints
                .map(|n| pluralize(n, "endpoint address", "endpoint addresses")),
            self.restarts.map(|n| pluralize(n, "restart", "restarts")),
            self.each_restarted
                .then(|| "a restart of every pod".to_owned()),
            self.waiting.clone(),
            self.rolled_out.then(|| "the end of the rollout".to_owned()),
        ];
        if let Some(app) = &self.app {
            write!(f, "{app}: ")?;
        }
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(" and "))
    }
}

fn pluralize<N: Copy + fmt::Display + PartialEq + From<u8>>(
    n: N,
    singular: &str,
    plural: &str,
) -> String {
    let noun = if n == N::from(1) { singular } else { plural };
    format!("{n} {noun}")
}

/// A table.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Get {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// `pods` or `endpoints`.
    pub(crate) resource: Resource,
    /// `true` for `-o wide`.
    #[serde(default)]
    pub(crate) wide: bool,
}

/// Resource of a table.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resource {
    /// The application's pods.
    Pods,
    /// The endpoints of the application's service.
    Endpoints,
}

/// One request to the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Call {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the URL.
    pub(crate) path: String,
    /// Expected status.
    pub(crate) status: u16,
}

/// Repeated requests, each on a connection of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Load {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the URL.
    pub(crate) path: String,
    /// Expected status.
    pub(crate) status: u16,
    /// Milliseconds between a response and the next request, on the cluster's clock; default: 1000.
    #[serde(default = "default_interval_millis")]
    pub(crate) interval_millis: u64,
}

fn default_interval_millis() -> u64 {
    1000
}

/// A word in the log of each pod's running container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Logs {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Prefix of the word.
    pub(crate) prefix: String,
}

/// A form to submit.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SubmitForm {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the page with the form.
    pub(crate) path: String,
    /// Values by the names of the fields.
    pub(crate) fields: BTreeMap<String, String>,
}

/// A page and the text that it has to contain.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct ExpectPage {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the page.
    pub(crate) path: String,
    /// The text.
    pub(crate) contains: String,
    /// Timeout on the cluster's clock; after it the exercise fails.
    pub(crate) timeout_seconds: u64,
}

/// A command in a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Exec {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Name of the container; may be omitted for a pod with one.
    pub(crate) container: Option<String>,
    /// Command for `sh -c`.
    pub(crate) sh: String,
}

/// Image of one of a deployment's containers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SetImage {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Name of the container.
    pub(crate) container: String,
    /// Name and tag of the image.
    pub(crate) image: String,
}

/// Replicas of a deployment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scale {
    /// Application; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Number of replicas.
    pub(crate) replicas: u32,
}
