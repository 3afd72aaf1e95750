//! An exercise as data: what is done, in order, and what is claimed of it.
//!
//! Steps use the words of the chapter's commands; the runner turns each into API requests.

pub(crate) mod apply;
pub(crate) mod catalog;
pub(crate) mod claims;
pub(crate) mod form;
pub(crate) mod http;
pub(crate) mod observe;
pub(crate) mod outage;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod transcript;

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
    /// What is watched: each is the name of a deployment, of its service, and the label `app` of its pods. Steps and
    /// claims are about the first unless they name another.
    pub(crate) apps: Vec<String>,
    /// Whether scripted workloads can play it.
    #[serde(default = "yes")]
    pub(crate) simulated: bool,
    /// What is done and claimed, in order.
    pub(crate) steps: Vec<Step>,
}

fn yes() -> bool {
    true
}

impl Exercise {
    /// The application that a step or a claim is about.
    pub(crate) fn app<'a>(&'a self, of: Option<&'a str>) -> &'a str {
        of.or(self.apps.first().map(String::as_str))
            .unwrap_or_default()
    }

    /// The claims, in their order.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.steps.iter().filter_map(|step| match step {
            Step::Claim(claim) => Some(claim),
            _ => None,
        })
    }
}

/// The label selector of an application's pods.
pub(crate) fn selector(app: &str) -> String {
    format!("app={app}")
}

/// One sentence and how to tell whether it is true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Claim {
    /// The sentence.
    pub(crate) says: String,
    /// Which application it is about; the exercise's first where none is named.
    pub(crate) of: Option<String>,
    /// What has to have been observed.
    pub(crate) holds: Check,
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
