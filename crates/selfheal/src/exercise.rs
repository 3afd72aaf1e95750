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
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod transcript;
pub(crate) mod verdict;

use serde::Deserialize;

use self::outage::Sooner;
use self::step::Step;

/// One exercise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Exercise {
    /// What `selfheal exercise NAME` calls it.
    pub(crate) name: String,
    /// One line: what it shows.
    pub(crate) title: String,
    /// Watched applications: each is the name of a deployment, of its service, and the label `app` of its pods. Steps
    /// and assertions are about the first unless they name another.
    pub(crate) apps: Vec<String>,
    /// Whether scripted workloads can play it.
    #[serde(default = "yes")]
    pub(crate) simulated: bool,
    /// Steps and assertions, in order.
    pub(crate) steps: Vec<Step>,
}

fn yes() -> bool {
    true
}

impl Exercise {
    /// Application that a step or an assertion is about.
    pub(crate) fn app<'a>(&'a self, named: Option<&'a str>) -> &'a str {
        named
            .or(self.apps.first().map(String::as_str))
            .unwrap_or_default()
    }

    /// The assertions, in their order.
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
    /// Application that it is about; default: the exercise's first.
    pub(crate) app: Option<String>,
    /// What has to have been observed.
    pub(crate) check: Check,
}

/// What has to have been observed since the mark.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    /// The number of addresses, each change of it, in order.
    Endpoints(Vec<usize>),
    /// The service never had fewer addresses than this.
    EndpointsAtLeast(usize),
    /// Restarts a pod now has more than at the mark, smallest first.
    Restarts(Vec<i32>),
    /// Every pod was restarted.
    EachRestarted,
    /// How many pods are ready now.
    Ready(usize),
    /// A container waits, and this is why.
    Waiting(String),
    /// Whether the deployment's newest revision is all there is.
    RolledOut(bool),
    /// The words found in the pods' logs, in their order.
    Logged(Vec<String>),
    /// The pods are the ones of the mark: names, UIDs and addresses.
    SamePods,
    /// The pods of the mark are still there as they were: ready and not restarted. There may be others.
    Untouched,
    /// None of the pods of the mark is left, and none of those there are was restarted.
    Replaced,
    /// A page showed this text.
    Shown(String),
    /// Every request of the steady visitors was answered as it should be.
    EveryVisitAnswered,
    /// One outage was shorter than another.
    Sooner(Sooner),
}

#[cfg(test)]
mod tests;
