//! What an exercise does, one step after the other.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Assertion;
use super::outage::Outage;

/// One thing done.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// A sentence for the reader.
    Say(String),
    /// A manifest of `k8s/`, or a folder of them with a slash at its end, applied.
    Apply(String),
    /// Something to come true.
    Wait(Wait),
    /// A table, as `kubectl get` shows it.
    Get(Get),
    /// One request to the service.
    Call(Call),
    /// A word in the pods' logs.
    Logs(Logs),
    /// A form, filled in and sent as a browser does.
    Form(Form),
    /// A page that has to show something.
    Look(Look),
    /// Requests all the time, from here to the end.
    Visit(Visit),
    /// A command in a pod, a ready one if there is any, whatever becomes of it.
    Exec(Exec),
    /// How many pods a deployment is to have.
    Scale(Scale),
    /// A deployment whose pods are all replaced, in its own order.
    Restart(String),
    /// A deployment whose pods are replaced by those of another image.
    Image(SetImage),
    /// A deployment, back to the revision before its newest.
    Undo(String),
    /// A service that is broken, and the time until it is mended.
    Outage(Outage),
    /// Lets time pass, in the cluster's seconds.
    Sleep(u64),
    /// Assertions are about what happens from here on. The text describes the state at this point.
    Mark(String),
    /// An assertion, judged at this point.
    Assert(Assertion),
}

impl Step {
    /// The applications that it names.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &String> {
        let seen_at = match self {
            Self::Outage(outage) => outage.seen_at.as_ref(),
            _ => None,
        };
        self.app().into_iter().chain(seen_at.map(|page| &page.app))
    }

    /// What it does to the cluster, in a few words; nothing where it only looks on.
    pub(crate) fn act(&self) -> Option<String> {
        let of = |app: &Option<String>| {
            app.as_ref()
                .map(|app| format!(" {app}"))
                .unwrap_or_default()
        };
        match self {
            Self::Apply(path) => Some(format!("apply {path}")),
            Self::Call(call) => Some(format!("call{} {}", of(&call.app), call.path)),
            Self::Form(form) => Some(format!("form{} {}", of(&form.app), form.path)),
            Self::Exec(exec) => Some(format!("exec{} {}", of(&exec.app), exec.sh)),
            Self::Scale(scale) => Some(format!("scale{} {}", of(&scale.app), scale.replicas)),
            Self::Restart(app) => Some(format!("restart {app}")),
            Self::Image(image) => Some(format!("image{} {}", of(&image.app), image.image)),
            Self::Undo(app) => Some(format!("undo {app}")),
            Self::Outage(outage) => Some(format!("outage{} {}", of(&outage.app), outage.path)),
            Self::Say(_) | Self::Wait(_) | Self::Get(_) | Self::Logs(_) | Self::Look(_) => None,
            Self::Visit(_) | Self::Sleep(_) | Self::Mark(_) | Self::Assert(_) => None,
        }
    }

    /// The application that it is about, where it says so.
    fn app(&self) -> Option<&String> {
        match self {
            Self::Undo(app) | Self::Restart(app) => Some(app),
            Self::Image(image) => image.app.as_ref(),
            Self::Assert(assertion) => assertion.app.as_ref(),
            Self::Wait(wait) => wait.app.as_ref(),
            Self::Get(get) => get.app.as_ref(),
            Self::Call(call) => call.app.as_ref(),
            Self::Visit(visit) => visit.app.as_ref(),
            Self::Logs(logs) => logs.app.as_ref(),
            Self::Form(form) => form.app.as_ref(),
            Self::Look(look) => look.app.as_ref(),
            Self::Exec(exec) => exec.app.as_ref(),
            Self::Scale(scale) => scale.app.as_ref(),
            Self::Outage(outage) => outage.app.as_ref(),
            Self::Say(_) | Self::Apply(_) | Self::Sleep(_) | Self::Mark(_) => None,
        }
    }
}

/// What has to come true, all of it at once, before the next step.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Wait {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// So many pods, and no other, are ready.
    pub(crate) ready: Option<usize>,
    /// The service has so many addresses.
    pub(crate) endpoints: Option<usize>,
    /// The containers were restarted so many times, all together.
    pub(crate) restarts: Option<i32>,
    /// Every pod was restarted since the mark.
    #[serde(default)]
    pub(crate) each_restarted: bool,
    /// A container waits, and this is why.
    pub(crate) waiting: Option<String>,
    /// The deployment's newest revision is all there is.
    #[serde(default)]
    pub(crate) rolled_out: bool,
    /// Seconds after which the exercise gives up.
    pub(crate) within: u64,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.ready.map(|n| counted(n, "ready pod", "ready pods")),
            self.endpoints
                .map(|n| counted(n, "endpoint address", "endpoint addresses")),
            self.restarts.map(|n| counted(n, "restart", "restarts")),
            self.each_restarted
                .then(|| "a restart of every pod".to_owned()),
            self.waiting.clone(),
            self.rolled_out.then(|| "the end of the rollout".to_owned()),
        ];
        let of = self.app.as_ref().map(|app| format!("{app}: "));
        f.write_str(&of.unwrap_or_default())?;
        f.write_str(
            &parts
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" and "),
        )
    }
}

fn counted<N: Copy + fmt::Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    let what = if n == N::from(1) { one } else { many };
    format!("{n} {what}")
}

/// A table to show.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Get {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// `pods` or `endpoints`.
    pub(crate) resource: Resource,
    /// Whether to show the wide columns too.
    #[serde(default)]
    pub(crate) wide: bool,
}

/// What can be shown; which of them is the exercise's `pods` and `service`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Resource {
    /// The exercise's pods.
    Pods,
    /// The endpoints of the exercise's service.
    Endpoints,
}

/// One request to the service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Call {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the URL.
    pub(crate) path: String,
    /// The status that it has to be answered with.
    pub(crate) status: u16,
}

/// The same request over and over, each on a connection of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Visit {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the URL.
    pub(crate) path: String,
    /// The status that it has to be answered with.
    pub(crate) status: u16,
    /// Milliseconds between an answer and the next request, in the cluster's time.
    #[serde(default = "a_second")]
    pub(crate) every: u64,
}

fn a_second() -> u64 {
    1000
}

/// A word to look for in the log of each pod's running container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Logs {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// How the word begins.
    pub(crate) word: String,
}

/// A form, filled in and sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Form {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// The path of the page that it is on.
    pub(crate) path: String,
    /// What is filled in, by the names of the fields.
    pub(crate) fields: BTreeMap<String, String>,
}

/// A page that has to show something.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Look {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Path of the page.
    pub(crate) path: String,
    /// The text.
    pub(crate) shows: String,
    /// Seconds after which the exercise gives up.
    pub(crate) within: u64,
}

/// A command in a pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Exec {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Which of the pod's containers; its only one where none is named.
    pub(crate) container: Option<String>,
    /// The command, for a shell.
    pub(crate) sh: String,
}

/// The image of one of a deployment's containers.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct SetImage {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// The name of the container.
    pub(crate) container: String,
    /// The image's name and tag.
    pub(crate) image: String,
}

/// How many pods a deployment is to have.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Scale {
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// So many.
    pub(crate) replicas: u32,
}
