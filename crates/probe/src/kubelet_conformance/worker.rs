//! Rows about one worker: the result that an attempt stores, and whether the worker continues.

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
use super::row::{captures, probe_kind, stored_result, text, verdict};
use crate::outcome::{Outcome, ProbeError, Verdict};
use crate::prober::{ProbeTarget, Prober, ResolvedHandler};
use crate::results::{ProbeKind, Update};
use crate::worker::{Worker, WorkerHandle};
use crate::{Clock, Manager, ManagerOptions, StartDelay};

mod steps;

use steps::run_steps;

type ProbeOutcome = Result<Verdict, ProbeError>;

/// Returns the configured result for each attempt, and records the commands.
pub(super) struct ScriptedProber {
    result: Mutex<ProbeOutcome>,
    commands: Mutex<Vec<Vec<String>>>,
}

impl ScriptedProber {
    pub(super) fn always(verdict: Verdict) -> Self {
        Self {
            result: Mutex::new(Ok(verdict)),
            commands: Mutex::default(),
        }
    }

    pub(super) fn set_verdict(&self, verdict: Verdict) {
        *self.result.lock().unwrap() = Ok(verdict);
    }
}

#[async_trait]
impl Prober for ScriptedProber {
    async fn probe(
        &self,
        _: &ProbeTarget,
        handler: &ResolvedHandler,
        _: Duration,
    ) -> Result<Outcome, ProbeError> {
        if let ResolvedHandler::Exec { command } = handler {
            self.commands.lock().unwrap().push(command.clone());
        }
        let verdict = self.result.lock().unwrap().clone()?;
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

/// Creates a manager whose host has just started.
pub(super) fn manager(
    prober: Arc<ScriptedProber>,
    gate: bool,
) -> (Manager, mpsc::UnboundedReceiver<Update>) {
    let options = ManagerOptions {
        host_started_at: now(),
        start_delay: StartDelay::None,
        change_status_on_restart: gate,
    };
    Manager::new(
        Clock::new(now(), 1.0),
        prober,
        Arc::new(Recorder::default()),
        options,
    )
}

/// Returns a pod with these containers; `true` marks init containers.
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

/// Parses the description of a container's status.
pub(super) fn container_status(description: &str) -> ContainerStatus {
    let state = if description == "running" {
        json!({"running": {"startedAt": now().to_string()}})
    } else if matches!(description, "waiting" | "neither running nor terminated") {
        json!({})
    } else {
        let found = captures(
            r"terminated(?:, exit (\d+))?(?:, no own policy)?",
            description,
        );
        let found = found.unwrap_or_else(|| panic!("unknown container state: {description:?}"));
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

/// Returns the status of a running pod with one running container.
pub(super) fn running(started: bool) -> PodStatus {
    let mut container = container_status("running");
    container.started = Some(started);
    PodStatus {
        phase: Some("Running".to_owned()),
        container_statuses: Some(vec![container]),
        ..PodStatus::default()
    }
}

const GIVEN_FIELDS: [&str; 29] = [
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

const EXPECTED_FIELDS: [&str; 14] = [
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
    case.reject_unknown_fields(&GIVEN_FIELDS, &EXPECTED_FIELDS);
    if case.has("probe_types") {
        for kind_name in case.given["probe_types"].as_array().unwrap() {
            check_attempt(case, probe_kind(kind_name)).await;
        }
    } else {
        run_steps(case).await;
    }
}

fn handler_outcome(given: &Value) -> ProbeOutcome {
    if given["handler_error"] == json!(true) {
        return Err(ProbeError::unknown("configured error"));
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

/// Probes once. Errors are retried and not counted.
async fn check_attempt(case: &Case, kind: ProbeKind) {
    let given = &case.given;
    let scripted = ScriptedProber::always(Verdict::Success);
    *scripted.result.lock().unwrap() = handler_outcome(given);
    let mut container: Container = serde_json::from_value(json!({"name": "c"})).unwrap();
    container.env = serde_json::from_value(given["env"].clone()).unwrap_or_default();
    let probe = match given.get("probe") {
        Some(Value::Null) => {
            // A container without probes has no workers, and is ready.
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
        Some(Value::String(description)) if description == "present but without any handler" => {
            Probe::default()
        }
        Some(other) => panic!("{}: probe {other}", case.id),
        None => probe(given),
    };
    let target = ProbeTarget {
        pod_uid: "u".to_owned(),
        namespace: "n".to_owned(),
        pod: "p".to_owned(),
        container: "c".to_owned(),
        container_id: "id".to_owned(),
        ip: None,
    };
    let recorder = Recorder::default();
    let handler = crate::handler::resolve(&probe, &container, "");
    let limit = Duration::from_secs(1);
    let found = crate::attempt::probe(&scripted, &recorder, kind, &target, handler, limit).await;
    let expected = match case.expect["error"] {
        Value::Bool(true) => None,
        _ => Some(case.expect["result"] == json!("success")),
    };
    assert_eq!(found, expected, "{} {kind:?}", case.id);
    if let Some(argv) = case.expect.get("argv_executed") {
        assert_eq!(
            &json!(scripted.commands.lock().unwrap()[0]),
            argv,
            "{}",
            case.id
        );
    }
}
