//! Rows about one probe of one container: what a check stores, and whether another follows.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus, Probe};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::Case;
use super::manager::Recorder;
use super::row::{captures, kind, stored, text, verdict};
use crate::outcome::{Outcome, ProbeError, Verdict};
use crate::prober::{Action, Prober, Target};
use crate::results::{ProbeKind, Update};
use crate::worker::{Handle, Worker};
use crate::{Clock, Manager, Options};

mod checks;

use checks::checks;

type Answer = Result<Verdict, ProbeError>;

/// Answers as it is told and remembers the commands.
pub(super) struct Scripted {
    answer: Mutex<Answer>,
    asked: Mutex<Vec<Vec<String>>>,
}

impl Scripted {
    pub(super) fn always(verdict: Verdict) -> Self {
        Self {
            answer: Mutex::new(Ok(verdict)),
            asked: Mutex::default(),
        }
    }

    pub(super) fn answer(&self, verdict: Verdict) {
        *self.answer.lock().unwrap() = Ok(verdict);
    }
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, _: &Target, action: &Action, _: Duration) -> Result<Outcome, ProbeError> {
        if let Action::Exec { command } = action {
            self.asked.lock().unwrap().push(command.clone());
        }
        let verdict = self.answer.lock().unwrap().clone()?;
        Ok(Outcome {
            verdict,
            reason: None,
            output: String::new(),
            took: Duration::ZERO,
        })
    }
}

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn seconds_before(seconds: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - seconds).unwrap()
}

/// A manager whose host has just started.
pub(super) fn manager(
    prober: Arc<Scripted>,
    gate: bool,
) -> (Manager, mpsc::UnboundedReceiver<Update>) {
    let options = Options {
        started: now(),
        jitter: false,
        change_status_on_restart: gate,
    };
    Manager::new(
        Clock::new(now(), 1.0),
        prober,
        Arc::new(Recorder::default()),
        options,
    )
}

/// A pod of containers, of which some are init containers.
pub(super) fn pod(containers: &[(Container, bool)], policy: &str) -> Pod {
    let list = |init: bool| -> Vec<&Container> {
        containers
            .iter()
            .filter(|(_, is_init)| *is_init == init)
            .map(|(container, _)| container)
            .collect()
    };
    serde_json::from_value(json!({
        "metadata": {"uid": "u", "name": "p", "namespace": "n"},
        "spec": {"restartPolicy": policy, "containers": list(false), "initContainers": list(true)},
    }))
    .unwrap()
}

/// A container's status in a row's words.
pub(super) fn container_status(words: &str) -> ContainerStatus {
    let state = if words == "running" {
        json!({"running": {"startedAt": now().to_string()}})
    } else if matches!(words, "waiting" | "neither running nor terminated") {
        json!({})
    } else {
        let found = captures(r"terminated(?:, exit (\d+))?(?:, no own policy)?", words);
        let found = found.unwrap_or_else(|| panic!("a container that is {words:?}"));
        let code: i32 = found
            .get(1)
            .map_or(0, |code| code.as_str().parse().unwrap());
        json!({"terminated": {"exitCode": code}})
    };
    serde_json::from_value(json!({
        "name": "c", "containerID": "test://id", "state": state, "ready": false, "restartCount": 0, "image": "", "imageID": "",
    }))
    .unwrap()
}

/// A running pod with one running container.
pub(super) fn running(started: bool) -> PodStatus {
    let mut container = container_status("running");
    container.started = Some(started);
    PodStatus {
        phase: Some("Running".to_owned()),
        container_statuses: Some(vec![container]),
        ..PodStatus::default()
    }
}

const GIVEN: [&str; 29] = [
    "probe_type",
    "probe_types",
    "probe",
    "handler",
    "handler_result",
    "handler_error",
    "command",
    "env",
    "spec",
    "initial_delay",
    "pod_restart_policy",
    "published_started",
    "pod_status",
    "pod_phase",
    "container",
    "container_kind",
    "container_restart_policy",
    "container_restart_rules",
    "container_started",
    "first_check_for_this_container_id",
    "sibling",
    "gates",
    "gate_ChangeContainerStatusOnKubeletRestart",
    "worker_pod_deletion_timestamp",
    "status_only_for",
    "steps",
    "handler_results_in_order",
    "stored_before",
    "on_hold_before",
];

const EXPECT: [&str; 14] = [
    "result",
    "error",
    "argv_executed",
    "worker_continues",
    "stored_result",
    "stored_after_each",
    "steps",
    "initial_value_stored",
    "on_hold_before_first",
    "on_hold_after",
    "run_counter_after",
    "run_counter_after_each",
    "executions",
    "worker_exits",
];

pub(super) async fn run(case: &Case) {
    case.only(&GIVEN, &EXPECT);
    if case.has("probe_types") {
        for kind_name in case.given["probe_types"].as_array().unwrap() {
            attempt(case, kind(kind_name)).await;
        }
    } else {
        checks(case).await;
    }
}

fn answer(given: &Value) -> Answer {
    if given["handler_error"] == json!(true) {
        return Err(ProbeError::unknown("told to"));
    }
    Ok(given
        .get("handler_result")
        .map_or(Verdict::Success, verdict))
}

fn probe(given: &Value) -> Probe {
    let spec = &given["spec"];
    let delay = given.get("initial_delay").unwrap_or(&spec["initial_delay"]);
    let number = |value: &Value| value.as_i64().map_or(Value::Null, |number| json!(number));
    let command = given.get("command").cloned().unwrap_or(json!(["x"]));
    serde_json::from_value(json!({
        "exec": {"command": command},
        "timeoutSeconds": number(&spec["timeout"]),
        "periodSeconds": number(&spec["period"]),
        "initialDelaySeconds": number(delay),
        "successThreshold": spec["success_threshold"].as_i64().unwrap_or(1),
        "failureThreshold": spec["failure_threshold"].as_i64().unwrap_or(1),
    }))
    .unwrap()
}

/// One attempt, retried where it is an error; an error counts for nothing.
async fn attempt(case: &Case, kind: ProbeKind) {
    let given = &case.given;
    let scripted = Scripted::always(Verdict::Success);
    *scripted.answer.lock().unwrap() = answer(given);
    let mut container: Container = serde_json::from_value(json!({"name": "c"})).unwrap();
    container.env = serde_json::from_value(given["env"].clone()).unwrap_or_default();
    let probe = match given.get("probe") {
        Some(Value::Null) => {
            // Nobody asks a container without a probe, and it counts as well.
            let (manager, _updates) = manager(Arc::new(scripted), false);
            let pod = pod(&[(container, false)], "Never");
            manager.add_pod(&pod);
            let mut status = running(true);
            manager.update_pod_status(&pod, &mut status);
            assert!(status.container_statuses.unwrap()[0].ready, "{}", case.id);
            assert_eq!(
                (manager.worker_count(), verdict(&case.expect["result"])),
                (0, Verdict::Success)
            );
            return;
        }
        Some(Value::String(words)) if words == "present but without any handler" => {
            Probe::default()
        }
        Some(other) => panic!("{}: probe {other}", case.id),
        None => probe(given),
    };
    let target = Target {
        pod_uid: "u".to_owned(),
        namespace: "n".to_owned(),
        pod: "p".to_owned(),
        container: "c".to_owned(),
        container_id: "id".to_owned(),
        ip: None,
    };
    let recorder = Recorder::default();
    let action = crate::action::resolve(&probe, &container, "");
    let limit = Duration::from_secs(1);
    let found = crate::attempt::check(&scripted, &recorder, kind, &target, action, limit).await;
    let expected = match case.expect["error"] {
        Value::Bool(true) => None,
        _ => Some(case.expect["result"] == json!("success")),
    };
    assert_eq!(found, expected, "{} {kind:?}", case.id);
    if let Some(argv) = case.expect.get("argv_executed") {
        assert_eq!(
            &json!(scripted.asked.lock().unwrap()[0]),
            argv,
            "{}",
            case.id
        );
    }
}
