//! Gives what a cluster named a name that says its part: `numbers-api.2#1` is the first pod of the second revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use regex_lite::Regex;

use super::{Seen, What};

/// What no two clusters have alike, and what stands for it.
static ACCIDENTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let accidents = [
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "UID",
        ),
        (r"(sha256:|containerd://)?\b[0-9a-f]{64}\b", "ID"),
        (r"\b\d{1,3}(\.\d{1,3}){3}\b", "IP"),
        (r"IP:\d+->", "IP:PORT->"),
        (r"\((\d+[dhms])+ ago\)", "(AGE ago)"),
        (r"\bin \d[0-9.]*(ms|µs|s)\b", "in TIME"),
    ];
    let compile = |(pattern, word)| (Regex::new(pattern).expect("it is constant"), word);
    accidents.map(compile).into()
});

/// The names of one recording.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By UID, of what the exercise made: the application, and the name of the part.
    parts: BTreeMap<String, (String, String)>,
    /// What is written for a name, longest name first.
    words: Vec<(String, String)>,
    /// The nodes that pods are on. One may be called as a part of an image is.
    nodes: BTreeSet<String>,
}

impl Names {
    /// Names all that belongs to a deployment which was seen. What an earlier exercise left belongs to none.
    pub(super) fn of(log: &[Seen], namespace: &str) -> Self {
        let mut names = Self::default();
        for seen in log {
            if let What::Deployment(deployment) = &seen.what {
                let name = deployment.metadata.name.clone().unwrap_or_default();
                names.add(&deployment.metadata, (name.clone(), name));
            }
        }
        for seen in log {
            if let What::Set(set) = &seen.what {
                names.add_owned(&set.metadata, '.', "");
            }
        }
        for seen in log {
            if let What::Pod(pod) = &seen.what {
                names.add_owned(&pod.metadata, '#', "#*");
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                names.nodes.extend(node);
            }
        }
        let own = |(name, word): &(String, String)| {
            (format!("{namespace}/{name}"), format!("NAMESPACE/{word}"))
        };
        let namespaced: Vec<_> = names.words.iter().map(own).collect();
        names.words.extend(namespaced);
        let in_a_message = (format!("_{namespace}("), "_NAMESPACE(".to_owned());
        names.words.push(in_a_message);
        names
            .words
            .sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names
    }

    fn add(&mut self, metadata: &ObjectMeta, part: (String, String)) {
        if let Some(uid) = &metadata.uid {
            self.parts.insert(uid.clone(), part);
        }
    }

    /// Numbers it among those of its owner. In texts, `alike` stands for sign and number where which
    /// one is meant is chance.
    fn add_owned(&mut self, metadata: &ObjectMeta, sign: char, alike: &str) {
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let owner = metadata.owner_references.iter().flatten().next();
        let owner = owner.and_then(|owner| self.parts.get(&owner.uid)).cloned();
        let Some((app, owner)) = owner.filter(|_| !self.parts.contains_key(uid)) else {
            return;
        };
        let prefix = format!("{owner}{sign}");
        let siblings = self.parts.values().filter(|(_, part)| {
            let number = part.strip_prefix(&prefix);
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        });
        let part = format!("{prefix}{}", siblings.count() + 1);
        let word = if alike.is_empty() {
            part.clone()
        } else {
            format!("{owner}{alike}")
        };
        self.add(metadata, (app, part));
        let name = metadata.name.clone().unwrap_or_default();
        self.words.push((name, word));
    }

    /// The application, and the part that the object of this UID plays in it.
    pub(super) fn part(&self, uid: Option<&String>) -> Option<&(String, String)> {
        self.parts.get(uid?)
    }

    /// The text without what is the cluster's own. Pods of one owner are alike: which of them is meant is chance.
    pub(super) fn plain(&self, text: &str) -> String {
        if self.nodes.contains(text) {
            return "NODE".to_owned();
        }
        let mut text = text.to_owned();
        for node in &self.nodes {
            text = text.replace(&format!(" to {node} ("), " to NODE (");
        }
        for (name, word) in &self.words {
            text = text.replace(name, word);
        }
        for (accident, word) in ACCIDENTS.iter() {
            text = accident.replace_all(&text, *word).into_owned();
        }
        text
    }
}
