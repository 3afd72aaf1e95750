//! Steps of rows about one worker: single attempts and their effects.

use super::*;

/// A worker whose attempts are run one by one.
struct SteppedWorker {
    manager: Manager,
    _updates: mpsc::UnboundedReceiver<Update>,
    scripted: Arc<ScriptedProber>,
    worker: Worker,
    kind: ProbeKind,
}

/// Effects of one step.
struct StepResult {
    continues: bool,
    stored: Value,
    on_hold: bool,
    result_run: u32,
}

impl SteppedWorker {
    fn new(given: &Value) -> Self {
        let kind = probe_kind(&given["probe_type"]);
        let scripted = Arc::new(ScriptedProber::always(Verdict::Success));
        let gate = given["gate_ChangeContainerStatusOnKubeletRestart"] == json!(true);
        let (manager, updates) = manager(scripted.clone(), gate);
        let container = container(given);
        let sidecar = text(given, "container_kind").starts_with("sidecar");
        let mut containers = vec![(container.clone(), sidecar)];
        if let Some(sibling) = given.get("sibling") {
            containers.push((sibling_container(sibling), false));
        }
        let policy = given["pod_restart_policy"].as_str().unwrap_or("Never");
        let mut pod = pod(&containers, policy);
        if given["worker_pod_deletion_timestamp"] == json!(true) {
            pod.metadata.deletion_timestamp =
                Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
        }
        let handle = WorkerHandle {
            stop: CancellationToken::new(),
            trigger: Arc::new(Notify::new()),
        };
        let probe = probe(given);
        let worker = Worker::new(
            manager.shared.clone(),
            handle,
            kind,
            Arc::new(pod),
            &container,
            &probe,
        );
        Self {
            manager,
            _updates: updates,
            scripted,
            worker,
            kind,
        }
    }

    async fn step(&mut self, status: Option<PodStatus>, outcome: ProbeOutcome) -> StepResult {
        *self.scripted.result.lock().unwrap() = outcome;
        if let Some(status) = status {
            self.manager.set_status("u", status);
        }
        let continues = self.worker.do_probe().await;
        let id = self.worker.state.container_id.clone().unwrap_or_default();
        let stored = self.manager.result(self.kind, &id);
        StepResult {
            continues,
            stored: stored.map_or(Value::Null, |stored| json!(stored.as_str().to_lowercase())),
            on_hold: self.worker.state.tracker.is_on_hold(),
            result_run: self.worker.state.tracker.result_run(),
        }
    }
}

fn container(given: &Value) -> Container {
    let sidecar = text(given, "container_kind").starts_with("sidecar");
    let policy = given["container_restart_policy"]
        .as_str()
        .or(sidecar.then_some("Always"));
    Container {
        name: "c".to_owned(),
        restart_policy: policy.map(str::to_owned),
        restart_policy_rules: rules(&given["container_restart_rules"]),
        ..Container::default()
    }
}

fn sibling_container(sibling: &Value) -> Container {
    Container {
        name: "sibling".to_owned(),
        restart_policy: sibling["restart_policy"].as_str().map(str::to_owned),
        restart_policy_rules: rules(&sibling["rules"]),
        ..Container::default()
    }
}

fn rules(given: &Value) -> Option<Vec<k8s_openapi::api::core::v1::ContainerRestartRule>> {
    let rules = given
        .as_array()?
        .iter()
        .map(|rule| json!({"action": rule["action"], "exitCodes": rule["exit_codes"]}));
    Some(serde_json::from_value(rules.collect()).unwrap())
}

/// Returns the published status of a row, or `None` if nothing is published.
fn published(given: &Value, kind: ProbeKind) -> Option<PodStatus> {
    if given.get("pod_status") == Some(&Value::Null) {
        return None;
    }
    let mut container = container_status(given["container"].as_str().unwrap_or("running"));
    container.started = Some(
        given["published_started"]
            .as_bool()
            .unwrap_or(kind != ProbeKind::Startup),
    );
    if let Some(description) = given["container_started"].as_str() {
        let found = captures(r"(\d+) (min|s) (before|after) the kubelet", description);
        let found = found.unwrap_or_else(|| panic!("unknown start time: {description:?}"));
        let unit = if &found[2] == "min" { 60 } else { 1 };
        let sign = if &found[3] == "before" { 1 } else { -1 };
        started_ago(
            &mut container,
            found[1].parse::<i64>().unwrap() * unit * sign,
        );
    }
    if let Some(other) = given["status_only_for"].as_str() {
        container.name = other.to_owned();
    }
    let mut status = PodStatus {
        phase: Some(given["pod_phase"].as_str().unwrap_or("Running").to_owned()),
        ..PodStatus::default()
    };
    let mut list = vec![container];
    if text(given, "container_kind").starts_with("sidecar") {
        status.init_container_statuses = Some(std::mem::take(&mut list));
    }
    if let Some(state) = given["sibling"]["state"].as_str() {
        let mut sibling = container_status(state);
        sibling.name = "sibling".to_owned();
        list.push(sibling);
    }
    status.container_statuses = Some(list);
    Some(status)
}

fn started_ago(container: &mut ContainerStatus, seconds: i64) {
    let running = container
        .state
        .as_mut()
        .and_then(|state| state.running.as_mut());
    let at = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(seconds_before(seconds));
    running.expect("a running container").started_at = Some(at);
}

pub(in crate::kubelet_conformance) async fn run_steps(case: &Case) {
    let (given, expect) = (&case.given, &case.expect);
    let mut worker = SteppedWorker::new(given);
    let kind = worker.kind;
    if given["on_hold_before"] == json!(true) || expect["on_hold_before_first"] == json!(true) {
        panic!("{}: a hold without a result is not supported", case.id);
    }
    if let Some(before) = stored_result(&given["stored_before"]) {
        worker.manager.shared.results.set(kind, "u", "id", before);
        worker.worker.state.container_id = Some("id".to_owned());
    }
    let steps: Vec<(Option<PodStatus>, ProbeOutcome)> =
        if let Some(results) = given["handler_results_in_order"].as_array() {
            let outcomes = results.iter().map(|result| Ok(verdict(result)));
            outcomes
                .map(|outcome| (published(given, kind), outcome))
                .collect()
        } else if let Some(steps) = given["steps"].as_array() {
            let status = |step| step_status(given, step, kind);
            steps
                .iter()
                .map(|step| (status(step), handler_outcome(&merged(given, step))))
                .collect()
        } else {
            vec![(published(given, kind), handler_outcome(given))]
        };
    let mut results = Vec::new();
    for (status, outcome) in steps {
        results.push(worker.step(status, outcome).await);
    }
    compare(case, &results);
}

fn merged(given: &Value, step: &Value) -> Value {
    let mut merged = given.clone();
    for (key, value) in step.as_object().unwrap() {
        merged[key] = value.clone();
    }
    merged
}

fn step_status(given: &Value, step: &Value, kind: ProbeKind) -> Option<PodStatus> {
    let known = [
        "handler_result",
        "handler_error",
        "published_started",
        "container_started_ago_s",
        "container",
        "pod_phase",
        "container_id",
    ];
    assert!(
        step.as_object()
            .unwrap()
            .keys()
            .all(|key| known.contains(&key.as_str())),
        "step {step}"
    );
    let mut status = published(&merged(given, step), kind)?;
    for container in status.container_statuses.iter_mut().flatten() {
        if let Some(ago) = step["container_started_ago_s"].as_i64() {
            started_ago(container, ago);
        }
        if let Some(id) = step["container_id"].as_str() {
            container.container_id = Some(format!("test://{id}"));
        }
    }
    Some(status)
}

fn compare(case: &Case, results: &[StepResult]) {
    let expect = &case.expect;
    let last = results.last().expect("a row has a step");
    let id = &case.id;
    match &expect["worker_continues"] {
        Value::Null => {}
        Value::String(always) if always == "always" => {
            assert!(results.iter().all(|step| step.continues), "{id}");
        }
        expected => assert_eq!(&json!(last.continues), expected, "{id}"),
    }
    if let Some(expected) = expect.get("stored_result") {
        assert_eq!(&last.stored, expected, "{id}");
    }
    if let Some(expected) = expect["initial_value_stored"].as_bool() {
        assert_eq!(!last.stored.is_null(), expected, "{id}");
    }
    if let Some(expected) = expect.get("stored_after_each") {
        let all: Vec<&Value> = results.iter().map(|step| &step.stored).collect();
        assert_eq!(&json!(all), expected, "{id}");
    }
    if let Some(expected) = expect["on_hold_after"].as_bool() {
        assert_eq!(last.on_hold, expected, "{id}");
    }
    if let Some(expected) = expect["run_counter_after"].as_u64() {
        assert_eq!(u64::from(last.result_run), expected, "{id}");
    }
    if let Some(expected) = expect.get("run_counter_after_each") {
        let all: Vec<u32> = results.iter().map(|step| step.result_run).collect();
        assert_eq!(&json!(all), expected, "{id}");
    }
    for (step, expected) in results
        .iter()
        .zip(expect["steps"].as_array().into_iter().flatten())
    {
        for (key, value) in expected.as_object().unwrap() {
            let found = match key.as_str() {
                "worker_continues" => json!(step.continues),
                "stored_result" => step.stored.clone(),
                "on_hold" => json!(step.on_hold),
                "run_counter" => json!(step.result_run),
                other => panic!("{id}: unknown field {other:?} of a step"),
            };
            assert_eq!(&found, value, "{id} {key}");
        }
    }
}
