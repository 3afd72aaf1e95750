//! An exercise as data: its steps, in order, and its assertions.
//!
//! Steps mirror the chapter's commands; the runner turns each into API requests.

pub(crate) mod apply;
pub(crate) mod assertions;
pub(crate) mod catalog;
pub(crate) mod form;
pub(crate) mod http;
pub(crate) mod manifests;
pub(crate) mod namespace;
pub(crate) mod observe;
pub(crate) mod outage;
pub(crate) mod page;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod transcript;
pub(crate) mod verdict;

use serde::Deserialize;

use self::outage::Faster;
use self::step::Step;

/// One exercise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Exercise {
    /// Argument of `selfheal exercise`.
    pub(crate) name: String,
    /// Result of the exercise in one line.
    pub(crate) title: String,
    /// Watched applications: each is the name of a deployment, of its service, and the label `app` of its pods. Steps
    /// and assertions are about the first unless they name another.
    pub(crate) apps: Vec<String>,
    /// `true` if scripted workloads can run it; the default.
    #[serde(default = "default_simulated")]
    pub(crate) simulated: bool,
    /// Steps and assertions, in order.
    pub(crate) steps: Vec<Step>,
}

fn default_simulated() -> bool {
    true
}

impl Exercise {
    /// Application of a step or an assertion.
    pub(crate) fn app<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        named
            .or(self.apps.first().map(String::as_str))
            .unwrap_or_default()
    }

    /// Assertions in the order of the steps.
    pub(crate) fn assertions(&self) -> impl Iterator<Item = &Assertion> {
        self.steps.iter().filter_map(|step| match step {
            Step::Assert(assertion) => Some(assertion),
            _ => None,
        })
    }
}

/// Label selector of an application's pods.
pub(crate) fn selector(app: &str) -> String {
    format!("app={app}")
}

/// A sentence and the check that decides whether it is true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Assertion {
    /// The sentence.
    pub(crate) text: String,
    /// Application of the check; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// Condition on the observations.
    pub(crate) check: Check,
}

/// Condition on the observations since the last checkpoint.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    /// Numbers of the service's addresses, one for each change, in order.
    Endpoints(Vec<usize>),
    /// The service never had fewer addresses than this.
    EndpointsAtLeast(usize),
    /// Restarts of each current pod since the checkpoint, in ascending order.
    Restarts(Vec<i32>),
    /// Every pod was restarted.
    EachRestarted,
    /// Current number of ready pods.
    Ready(usize),
    /// A container waits for this reason.
    Waiting(String),
    /// `true`: the rollout of the deployment is complete.
    RolledOut(bool),
    /// Words found in the pods' logs, sorted.
    Logged(Vec<String>),
    /// The pods are those of the checkpoint: names, UIDs and addresses.
    SamePods,
    /// The pods of the checkpoint still exist, are ready, and were not restarted. There may be others.
    PodsUnchanged,
    /// No pod of the checkpoint exists, and no current pod was restarted.
    PodsReplaced,
    /// A page contained this text.
    PageContains(String),
    /// Every request of the `load` steps received the expected status.
    NoFailedRequests,
    /// A phase of one outage was shorter than that of another.
    Faster(Faster),
}

#[cfg(test)]
mod tests;
