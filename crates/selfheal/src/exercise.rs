//! An exercise as data: what is done, in order, and what is claimed of it.
//!
//! Steps use the words of the chapter's commands; the runner turns each into API requests.

pub(crate) mod apply;
pub(crate) mod catalog;
pub(crate) mod claims;
pub(crate) mod http;
pub(crate) mod observe;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod table;
pub(crate) mod transcript;

use std::fmt;

use serde::Deserialize;

/// One exercise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Exercise {
    /// What `selfheal exercise NAME` calls it.
    pub(crate) name: String,
    /// One line: what it shows.
    pub(crate) title: String,
    /// The service whose endpoints are watched and which is called.
    pub(crate) service: String,
    /// A label selector for the pods that are watched.
    pub(crate) pods: String,
    /// What is done, in order.
    pub(crate) steps: Vec<Step>,
    /// What is claimed of the time since the mark.
    pub(crate) claims: Vec<Claim>,
}

/// One thing done.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// A sentence for the reader.
    Say(String),
    /// A manifest of `k8s/`, applied.
    Apply(String),
    /// Something to come true.
    Wait(Wait),
    /// A table, as `kubectl get` shows it.
    Get(Get),
    /// One request to the service.
    Call(Call),
    /// A word in the pods' logs.
    Logs(Logs),
    /// Lets time pass, in the cluster's seconds.
    Sleep(u64),
    /// Claims speak of what happens from here on. Its text says what stands at this point.
    Mark(String),
}

/// What has to come true, all of it at once, before the next step.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Wait {
    /// So many pods, and no other, are ready.
    pub(crate) ready: Option<usize>,
    /// The service has so many addresses.
    pub(crate) endpoints: Option<usize>,
    /// The containers were restarted so many times, all together.
    pub(crate) restarts: Option<i32>,
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
        ];
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
    /// Path of the URL.
    pub(crate) path: String,
    /// The status that it has to be answered with.
    pub(crate) status: u16,
}

/// A word to look for in the log of each pod's running container.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Logs {
    /// How the word begins.
    pub(crate) word: String,
}

/// One sentence and how to tell whether it is true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Claim {
    /// The sentence.
    pub(crate) says: String,
    /// What has to have been observed.
    pub(crate) holds: Check,
}

/// What has to have been observed since the mark.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Check {
    /// The number of addresses, each change of it, in order.
    Endpoints(Vec<usize>),
    /// Restarts a pod now has more than at the mark, smallest first.
    Restarts(Vec<i32>),
    /// How many pods are ready now.
    Ready(usize),
    /// The words found in the pods' logs, in their order.
    Logged(Vec<String>),
    /// The pods are the ones of the mark: names, UIDs and addresses.
    SamePods,
}

#[cfg(test)]
mod tests;
