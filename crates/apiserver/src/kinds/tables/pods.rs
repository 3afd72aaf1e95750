//! Table of pods: READY, STATUS and RESTARTS summarize the containers, as upstream's `printPod`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age::{age, human_duration};
use super::{AGE, NAME, list, or_none, str_of, text, wide};
use crate::kinds::Column;

pub(in crate::kinds) const COLUMNS: &[Column] = &[
    NAME,
    text("Ready"),
    text("Status"),
    text("Restarts"),
    AGE,
    wide("IP"),
    wide("Node"),
    wide("Nominated Node"),
    wide("Readiness Gates"),
];

pub(in crate::kinds) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let view = PodContainers::from_pod(pod);
    vec![
        super::name(pod),
        json!(view.ready()),
        json!(view.status()),
        json!(view.restarts(now)),
        age(&pod["metadata"]["creationTimestamp"], now),
        or_none(str_of(&pod["status"]["podIP"])),
        or_none(str_of(&pod["spec"]["nodeName"])),
        or_none(str_of(&pod["status"]["nominatedNodeName"])),
        format_readiness_gates(pod),
    ]
}

/// Container statuses of a pod.
struct PodContainers<'a> {
    pod: &'a Value,
    /// Status of each init container; `true` if it is restartable (a sidecar).
    init: Vec<(&'a Value, bool)>,
    /// Status of each container, by name.
    containers: Vec<&'a Value>,
    initialized: bool,
}

impl<'a> PodContainers<'a> {
    fn from_pod(pod: &'a Value) -> Self {
        let spec = list(&pod["spec"]["initContainers"]);
        let is_sidecar = |status: &Value| {
            spec.iter()
                .any(|init| init["name"] == status["name"] && init["restartPolicy"] == "Always")
        };
        let init: Vec<_> = list(&pod["status"]["initContainerStatuses"])
            .iter()
            .map(|status| (status, is_sidecar(status)))
            .collect();
        let mut containers: Vec<_> = list(&pod["status"]["containerStatuses"]).iter().collect();
        containers.sort_by_key(|status| str_of(&status["name"]));
        let initialized = init
            .iter()
            .all(|(status, sidecar)| is_init_done(status, *sidecar))
            || condition(pod, "Initialized");
        Self {
            pod,
            init,
            containers,
            initialized,
        }
    }

    fn sidecars(&self) -> impl Iterator<Item = &'a Value> {
        self.init
            .iter()
            .filter(|(_, sidecar)| *sidecar)
            .map(|(status, _)| *status)
    }

    fn ready(&self) -> String {
        let declared = list(&self.pod["spec"]["initContainers"])
            .iter()
            .filter(|init| init["restartPolicy"] == "Always");
        let total = list(&self.pod["spec"]["containers"]).len() + declared.count();
        let sidecars = self
            .sidecars()
            .filter(|status| status["ready"] == true && status["started"] == true)
            .count();
        let is_ready =
            |status: &&&Value| status["ready"] == true && status["state"]["running"].is_object();
        let regular = if self.initialized {
            self.containers.iter().filter(is_ready).count()
        } else {
            0
        };
        format!("{}/{total}", regular + sidecars)
    }

    fn status(&self) -> String {
        let shown = if self.initialized {
            self.after_init()
        } else {
            self.during_init()
        };
        let phase = str_of(&self.pod["status"]["phase"]);
        if !self.pod["metadata"]["deletionTimestamp"].is_string() {
            shown
        } else if self.pod["status"]["reason"] == "NodeLost" {
            "Unknown".to_owned()
        } else if matches!(phase, "Succeeded" | "Failed") {
            shown
        } else {
            "Terminating".to_owned()
        }
    }

    fn base(&self) -> String {
        let status = &self.pod["status"];
        if condition_reason(self.pod, "PodScheduled") == Some("SchedulingGated") {
            return "SchedulingGated".to_owned();
        }
        let reason = str_of(&status["reason"]);
        if reason.is_empty() {
            str_of(&status["phase"])
        } else {
            reason
        }
        .to_owned()
    }

    fn during_init(&self) -> String {
        let total = list(&self.pod["spec"]["initContainers"]).len();
        let Some(at) = self
            .init
            .iter()
            .position(|(status, sidecar)| !is_init_done(status, *sidecar))
        else {
            return self.base();
        };
        let state = &self.init[at].0["state"];
        let waiting = str_of(&state["waiting"]["reason"]);
        if state["terminated"].is_object() {
            format!("Init:{}", termination_reason(&state["terminated"]))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{at}/{total}")
        }
    }

    /// Returns the reason of the alphabetically first container that is not running.
    fn after_init(&self) -> String {
        let mut shown = self.base();
        let mut running = false;
        for status in self.containers.iter().rev() {
            let state = &status["state"];
            let waiting = str_of(&state["waiting"]["reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut shown);
            } else if state["terminated"].is_object() {
                shown = termination_reason(&state["terminated"]);
            } else if state["running"].is_object() && status["ready"] == true {
                running = true;
            }
        }
        if shown == "Completed" {
            self.completed(running)
        } else {
            shown
        }
    }

    /// Returns the status of a pod of which a container completed.
    fn completed(&self, running: bool) -> String {
        let failed = self
            .containers
            .iter()
            .map(|status| &status["state"]["terminated"]);
        let failed = failed
            .filter(|ended| ended["exitCode"].as_i64().is_some_and(|code| code != 0))
            .map(termination_reason)
            .next();
        match failed {
            _ if running && condition(self.pod, "Ready") => "Running".to_owned(),
            Some(failed) => failed,
            None if running => "NotReady".to_owned(),
            None => "Completed".to_owned(),
        }
    }

    fn restarts(&self, now: Timestamp) -> String {
        let counted: Vec<&Value> = if self.initialized {
            self.containers
                .iter()
                .copied()
                .chain(self.sidecars())
                .collect()
        } else {
            self.init.iter().map(|(status, _)| *status).collect()
        };
        let count: i64 = counted
            .iter()
            .filter_map(|status| status["restartCount"].as_i64())
            .sum();
        let ended = counted.iter().filter_map(|status| {
            str_of(&status["lastState"]["terminated"]["finishedAt"])
                .parse::<Timestamp>()
                .ok()
        });
        match ended.max() {
            Some(last) if count > 0 => format!(
                "{count} ({} ago)",
                human_duration(now.duration_since(last).as_secs())
            ),
            _ => count.to_string(),
        }
    }
}

/// Returns `true` if the init container does not block the next one.
fn is_init_done(status: &Value, sidecar: bool) -> bool {
    let ended = &status["state"]["terminated"];
    (sidecar && status["started"] == true) || (ended.is_object() && ended["exitCode"] == 0)
}

fn termination_reason(terminated: &Value) -> String {
    let reason = str_of(&terminated["reason"]);
    match (
        reason.is_empty(),
        terminated["signal"].as_i64().unwrap_or(0),
    ) {
        (false, _) => reason.to_owned(),
        (true, 0) => format!("ExitCode:{}", terminated["exitCode"].as_i64().unwrap_or(0)),
        (true, signal) => format!("Signal:{signal}"),
    }
}

fn find_condition<'a>(pod: &'a Value, kind: &str) -> Option<&'a Value> {
    list(&pod["status"]["conditions"])
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn condition(pod: &Value, kind: &str) -> bool {
    find_condition(pod, kind).is_some_and(|condition| condition["status"] == "True")
}

fn condition_reason<'a>(pod: &'a Value, kind: &str) -> Option<&'a str> {
    find_condition(pod, kind)?["reason"].as_str()
}

fn format_readiness_gates(pod: &Value) -> Value {
    let gates = list(&pod["spec"]["readinessGates"]);
    if gates.is_empty() {
        return json!("<none>");
    }
    let open = gates
        .iter()
        .filter(|gate| condition(pod, str_of(&gate["conditionType"])))
        .count();
    json!(format!("{open}/{}", gates.len()))
}
