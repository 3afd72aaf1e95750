//! Stable names of objects and texts without cluster-specific parts. `numbers-api.2#1` is the first pod of the second revision.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use regex_lite::Regex;

use super::{Observation, ObservedChange};

/// Patterns of texts that differ between clusters, and their replacements.
static CLUSTER_SPECIFIC: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let patterns = [
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
    let compile = |(pattern, replacement)| {
        let regex = Regex::new(pattern).expect("the pattern is constant");
        (regex, replacement)
    };
    patterns.map(compile).into()
});

/// Name of an object that is the same on every cluster.
#[derive(Clone, Debug)]
pub(super) struct StableName {
    /// Application of the object.
    pub(super) app: String,
    /// Name among the objects of the exercise.
    pub(super) name: String,
}

/// Names in one recording.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names of the exercise's objects by UID.
    by_uid: BTreeMap<String, StableName>,
    /// Names and their replacements in texts, longest name first.
    replacements: Vec<(String, String)>,
    /// Nodes of the pods. A node's name may occur in the name of an image.
    nodes: BTreeSet<String>,
}

impl Names {
    /// Names all objects of the observed deployments. Objects of an earlier exercise belong to no such deployment.
    pub(super) fn from_log(log: &[Observation], namespace: &str) -> Self {
        let mut names = Self::default();
        let changes = || log.iter().map(|observation| &observation.change);
        for change in changes() {
            if let ObservedChange::Deployment(deployment) = change {
                let name = deployment.metadata.name.clone().unwrap_or_default();
                let app = name.clone();
                names.add(&deployment.metadata, StableName { app, name });
            }
        }
        for change in changes() {
            if let ObservedChange::ReplicaSet(set) = change {
                names.add_owned(&set.metadata, '.', InTexts::Name);
            }
        }
        for change in changes() {
            if let ObservedChange::Pod(pod) = change {
                names.add_owned(&pod.metadata, '#', InTexts::AnySibling);
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
                names.nodes.extend(node);
            }
        }
        names.add_namespace(namespace);
        names
            .replacements
            .sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names
    }

    fn add(&mut self, metadata: &ObjectMeta, name: StableName) {
        if let Some(uid) = &metadata.uid {
            self.by_uid.insert(uid.clone(), name);
        }
    }

    /// Names an object by its owner, `separator` and its number among the owner's objects.
    fn add_owned(&mut self, metadata: &ObjectMeta, separator: char, in_texts: InTexts) {
        let uid = metadata.uid.as_deref().unwrap_or_default();
        let owner = metadata.owner_references.iter().flatten().next();
        let owner = owner.and_then(|owner| self.by_uid.get(&owner.uid)).cloned();
        let Some(owner) = owner.filter(|_| !self.by_uid.contains_key(uid)) else {
            return;
        };
        let prefix = format!("{}{separator}", owner.name);
        let siblings = self.by_uid.values().filter(|sibling| {
            let number = sibling.name.strip_prefix(&prefix);
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        });
        let name = format!("{prefix}{}", siblings.count() + 1);
        let replacement = match in_texts {
            InTexts::Name => name.clone(),
            InTexts::AnySibling => format!("{prefix}*"),
        };
        let app = owner.app;
        self.add(metadata, StableName { app, name });
        let original = metadata.name.clone().unwrap_or_default();
        self.replacements.push((original, replacement));
    }

    fn add_namespace(&mut self, namespace: &str) {
        let namespaced = self.replacements.iter().map(|(name, replacement)| {
            (
                format!("{namespace}/{name}"),
                format!("NAMESPACE/{replacement}"),
            )
        });
        let namespaced: Vec<_> = namespaced.collect();
        self.replacements.extend(namespaced);
        // The kubelet's messages name a pod `NAME_NAMESPACE(UID)`.
        let of_kubelet = (format!("_{namespace}("), "_NAMESPACE(".to_owned());
        self.replacements.push(of_kubelet);
    }

    /// Stable name of the object with this UID.
    pub(super) fn get(&self, uid: Option<&String>) -> Option<&StableName> {
        self.by_uid.get(uid?)
    }

    /// Replaces the cluster-specific parts of a text.
    pub(super) fn normalize(&self, text: &str) -> String {
        if self.nodes.contains(text) {
            return "NODE".to_owned();
        }
        let mut text = text.to_owned();
        for node in &self.nodes {
            text = text.replace(&format!(" to {node} ("), " to NODE (");
        }
        for (name, replacement) in &self.replacements {
            text = text.replace(name, replacement);
        }
        for (pattern, replacement) in CLUSTER_SPECIFIC.iter() {
            text = pattern.replace_all(&text, *replacement).into_owned();
        }
        text
    }
}

/// Replacement of an object's name in texts.
#[derive(Clone, Copy)]
enum InTexts {
    /// The stable name of the object.
    Name,
    /// The same text as for its siblings: the pod of an owner that a text names is random.
    AnySibling,
}
