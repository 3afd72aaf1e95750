//! Rows about the manager: probed containers, published statuses, stored results and updates.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, PodStatus};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Case;
use super::row::{captures, probe_kind, stored_result, text};
use super::worker::{self, ScriptedProber};
use crate::event::EventSink;
use crate::prober::{ProbeTarget, Prober as _, ResolvedHandler};
use crate::results::{ProbeKind, ProbeResult};
use crate::{LocalProber, Manager, Verdict};

mod published;

pub(super) use published::run_scale;
use published::{check_published, check_status};

pub(super) fn can_run(case: &Case) -> bool {
    [
        "construct",
        "events_recorded",
        "actions",
        "workers",
        "init_containers",
        "pods",
        "sets",
        "result",
        "handler_results",
        "worker",
        "startup_worker",
    ]
    .iter()
    .any(|key| case.has(key))
        || case.expect.get("workers_after_each").is_some()
}

pub(super) fn is_scale(case: &Case) -> bool {
    case.has("duration_s")
}

pub(super) async fn run(case: &Case) {
    if case.has("construct") {
        check_handlers(case).await;
    } else if case.has("events_recorded") {
        check_events(case);
    } else if case.has("actions") {
        check_stop(case).await;
    } else if case.expect.get("workers_after_each").is_some() {
        check_workers(case).await;
    } else if case.has("pods") {
        check_cleanup(case).await;
    } else if case.has("sets") {
        check_updates(case);
    } else if case.has("result") {
        check_names(case);
    } else if case.has("handler_results") {
        check_published(case).await;
    } else {
        check_status(case).await;
    }
}

fn target() -> ProbeTarget {
    ProbeTarget {
        pod_uid: "u".to_owned(),
        namespace: "n".to_owned(),
        pod: "p".to_owned(),
        container: "c".to_owned(),
        container_id: "id".to_owned(),
        ip: None,
    }
}

async fn check_handlers(case: &Case) {
    case.reject_unknown_fields(&["construct"], &["handlers_available"]);
    let host = "127.0.0.1".to_owned();
    for name in case.expect["handlers_available"].as_array().unwrap() {
        let handler = match name.as_str().unwrap() {
            "exec" => ResolvedHandler::Exec {
                command: vec!["true".to_owned()],
            },
            "http" => ResolvedHandler::Http(crate::HttpGet {
                url: "http://127.0.0.1:1/".to_owned(),
                headers: Vec::new(),
            }),
            "tcp" => ResolvedHandler::Tcp {
                host: host.clone(),
                port: 1,
            },
            "grpc" => ResolvedHandler::Grpc {
                host: host.clone(),
                port: 1,
                service: String::new(),
            },
            other => panic!("{}: unknown handler {other:?}", case.id),
        };
        let outcome = LocalProber::default()
            .probe(&target(), &handler, Duration::from_secs(60))
            .await;
        assert!(outcome.is_ok(), "{}: {name} {outcome:?}", case.id);
    }
}

#[derive(Default)]
pub(super) struct Recorder(pub(super) Mutex<Vec<String>>);

impl EventSink for Recorder {
    fn warning(&self, _: &ProbeTarget, reason: &'static str, message: String) {
        self.0
            .lock()
            .unwrap()
            .push(format!("Warning {reason} {message}"));
    }
}

/// Checks that events are recorded in order.
fn check_events(case: &Case) {
    case.reject_unknown_fields(&["probe_type", "events_recorded"], &["events_in_order"]);
    let recorder = Recorder::default();
    let kind = probe_kind(&case.given["probe_type"]).as_str();
    for event in case.given["events_recorded"].as_array().unwrap() {
        assert_eq!(
            event["type"],
            json!("Warning"),
            "the crate records no other events"
        );
        let reason = text(event, "reason");
        let reason = ["ContainerProbeWarning", "ProbeWarning", "Unhealthy"]
            .into_iter()
            .find(|known| *known == reason)
            .unwrap_or_else(|| panic!("{}: unknown reason {reason:?}", case.id));
        let message = text(event, "format")
            .replace("<type>", kind)
            .replace("<output>", text(event, "output"))
            .replace("<result>", text(event, "result"));
        recorder.warning(&target(), reason, message);
    }
    let recorded = recorder.0.into_inner().unwrap();
    assert_eq!(
        json!(recorded),
        case.expect["events_in_order"],
        "{}",
        case.id
    );
}

async fn check_stop(case: &Case) {
    case.reject_unknown_fields(
        &["probe_type", "handler_result", "actions"],
        &[
            "stored_result_after_exit",
            "worker_registered_after_exit",
            "repeated_stop_is_harmless",
        ],
    );
    let kind = probe_kind(&case.given["probe_type"]);
    let scripted = Arc::new(ScriptedProber::always(super::row::verdict(
        &case.given["handler_result"],
    )));
    let (manager, _updates) = worker::manager(scripted, false);
    let pod = worker::pod(&[(container("c", &[kind]), false)], "Never");
    manager.set_status("u", worker::running(kind != ProbeKind::Startup));
    manager.add_pod(&pod);
    settle().await;
    let expected = stored_result(&case.given["handler_result"]);
    let (mut is_registered, mut stored) = (true, None);
    for action in case.given["actions"].as_array().unwrap() {
        let action = action.as_str().unwrap();
        if action == "run until result stored" {
            assert_eq!(manager.result(kind, "id"), expected, "{}", case.id);
        } else if let Some(found) = captures(r"stop x(\d+)", action) {
            for _ in 0..found[1].parse::<usize>().unwrap() {
                manager.stop_worker(&pod, "c", kind);
            }
        } else if action == "wait for exit" {
            settle().await;
            is_registered = manager.worker_count() > 0;
            stored = manager.result(kind, "id");
        } else {
            panic!("{}: unknown action {action:?}", case.id);
        }
    }
    assert_eq!(
        json!(is_registered),
        case.expect["worker_registered_after_exit"],
        "{}",
        case.id
    );
    assert_eq!(
        stored,
        stored_result(&case.expect["stored_result_after_exit"]),
        "{}",
        case.id
    );
}

/// Lets the workers become idle; paused time advances only then.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(10)).await;
}

fn container(name: &str, kinds: &[ProbeKind]) -> Container {
    let mut container = json!({"name": name});
    for kind in kinds {
        let field = format!("{}Probe", kind.as_str().to_lowercase());
        container[field] =
            json!({"exec": {"command": ["x"]}, "periodSeconds": 1, "failureThreshold": 1});
    }
    serde_json::from_value(container).unwrap()
}

/// Parses the description of a container: its name, its probes, its restart policy.
fn parse_container(description: &str) -> Container {
    let name = description.split(' ').next().unwrap();
    let has_probe = |kind: &ProbeKind| {
        description.contains("all three")
            || description[name.len()..].contains(&kind.as_str().to_lowercase())
    };
    let kinds: Vec<ProbeKind> = ProbeKind::ALL.into_iter().filter(has_probe).collect();
    let mut container = container(name, &kinds);
    if let Some(found) = captures(r".*restartPolicy (\w+).*", description)
        && &found[1] != "unset"
    {
        container.restart_policy = Some(found[1].to_owned());
    }
    container
}

async fn check_workers(case: &Case) {
    case.reject_unknown_fields(
        &["init_containers", "containers", "steps"],
        &["workers_after_each"],
    );
    let list = |key: &str| case.given[key].as_array().cloned().unwrap_or_default();
    let parse_list = |key: &str, is_init: bool| {
        list(key)
            .into_iter()
            .map(move |description| (parse_container(description.as_str().unwrap()), is_init))
            .collect::<Vec<_>>()
    };
    let mut containers = parse_list("init_containers", true);
    containers.extend(parse_list("containers", false));
    let pod = worker::pod(&containers, "Always");
    let (manager, _updates) =
        worker::manager(Arc::new(ScriptedProber::always(Verdict::Success)), false);
    let mut after = Vec::new();
    for step in list("steps") {
        match step.as_str().unwrap() {
            "add" | "add again" => manager.add_pod(&pod),
            "remove" | "remove again" => manager.remove_pod("u"),
            other => panic!("{}: unknown step {other:?}", case.id),
        }
        settle().await;
        after.push(worker_names(&manager, &[&pod]));
    }
    let expected: Vec<BTreeSet<String>> =
        serde_json::from_value(case.expect["workers_after_each"].clone()).unwrap();
    assert_eq!(after, expected, "{}", case.id);
}

/// Returns the workers as `container/kind`.
fn worker_names(manager: &Manager, pods: &[&Pod]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for pod in pods {
        let spec = pod.spec.as_ref().unwrap();
        for container in spec
            .containers
            .iter()
            .chain(spec.init_containers.iter().flatten())
        {
            for kind in ProbeKind::ALL {
                if manager.is_probed(pod, &container.name, kind) {
                    names.insert(format!(
                        "{}/{}",
                        container.name,
                        kind.as_str().to_lowercase()
                    ));
                }
            }
        }
    }
    names
}

async fn check_cleanup(case: &Case) {
    case.reject_unknown_fields(
        &["pods", "each", "probes_per_pod", "cleanup_calls", "desired"],
        &["workers_left", "no_deadlock"],
    );
    let names: Vec<String> = match case.given["pods"].as_u64() {
        Some(count) => (0..count).map(|at| format!("pod{at}")).collect(),
        None => serde_json::from_value(case.given["pods"].clone()).unwrap(),
    };
    let each = text(&case.given, "each");
    let containers: Vec<(Container, bool)> = if each.is_empty() {
        vec![(container("c", &ProbeKind::ALL), false)]
    } else {
        each.split(", ")
            .map(|description| (parse_container(description), false))
            .collect()
    };
    let (manager, _updates) =
        worker::manager(Arc::new(ScriptedProber::always(Verdict::Success)), false);
    let pods: Vec<Pod> = names
        .iter()
        .map(|name| {
            let mut pod = worker::pod(&containers, "Always");
            pod.metadata.uid = Some(name.clone());
            manager.add_pod(&pod);
            pod
        })
        .collect();
    let desired: HashSet<String> = serde_json::from_value(case.given["desired"].clone()).unwrap();
    for _ in 0..case.given["cleanup_calls"].as_u64().unwrap_or(1) {
        manager.cleanup_pods(&desired);
    }
    settle().await;
    let left = pods.iter().flat_map(|pod| {
        let uid = pod.metadata.uid.clone().unwrap();
        worker_names(&manager, &[pod])
            .into_iter()
            .map(move |name| format!("{uid}/{name}"))
    });
    let left: BTreeSet<String> = left.collect();
    let expected = case
        .expect
        .get("workers_left")
        .cloned()
        .unwrap_or(json!([]));
    let expected: BTreeSet<String> = serde_json::from_value(expected).unwrap();
    assert_eq!(left, expected, "{}", case.id);
}

fn check_updates(case: &Case) {
    case.reject_unknown_fields(&["sets"], &["update_emitted"]);
    let (sender, mut updates) = mpsc::unbounded_channel();
    let results = crate::results::Results::new(sender);
    let sets = case.given["sets"].as_array().unwrap().iter();
    let emitted: Vec<bool> = sets
        .map(|set| {
            let result = stored_result(&set[1]).unwrap();
            results.set(ProbeKind::Liveness, "pod", set[0].as_str().unwrap(), result);
            updates.try_recv().is_ok()
        })
        .collect();
    assert_eq!(json!(emitted), case.expect["update_emitted"], "{}", case.id);
}

fn check_names(case: &Case) {
    case.reject_unknown_fields(&["result"], &["number", "text"]);
    let result = match case.given["result"]
        .as_str()
        .map(str::to_lowercase)
        .as_deref()
    {
        Some("success") => ProbeResult::Success,
        Some("failure") => ProbeResult::Failure,
        // Go's type has other numbers, which print as unknown; Rust's type has none.
        _ => ProbeResult::Unknown,
    };
    if let Some(number) = case.expect["number"].as_i64() {
        assert_eq!(i64::from(result.number()), number, "{}", case.id);
    }
    if let Some(name) = case.expect["text"].as_str() {
        assert_eq!(result.as_str(), name, "{}", case.id);
    }
}
