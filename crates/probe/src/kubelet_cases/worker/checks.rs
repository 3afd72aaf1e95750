//! A worker that is made to check by hand, and what each check came to.

use super::*;

/// A worker that is made to check by hand.
struct Bench {
    manager: Manager,
    _updates: mpsc::UnboundedReceiver<Update>,
    scripted: Arc<Scripted>,
    worker: Worker,
    kind: ProbeKind,
}

/// What one check came to.
struct Seen {
    continues: bool,
    stored: Value,
    on_hold: bool,
    run: u32,
}

impl Bench {
    fn new(given: &Value) -> Self {
        let kind = kind(&given["probe_type"]);
        let scripted = Arc::new(Scripted::always(Verdict::Success));
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
        let handle = Handle {
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

    async fn check(&mut self, status: Option<PodStatus>, answer: Answer) -> Seen {
        *self.scripted.answer.lock().unwrap() = answer;
        if let Some(status) = status {
            self.manager.set_status("u", status);
        }
        let continues = self.worker.once().await;
        let id = self.worker.check.container_id.clone().unwrap_or_default();
        let stored = self.manager.result(self.kind, &id);
        Seen {
            continues,
            stored: stored.map_or(Value::Null, |stored| json!(stored.as_str().to_lowercase())),
            on_hold: self.worker.check.tracker.is_on_hold(),
            run: self.worker.check.tracker.run(),
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

/// The published status that a row describes; none where there is none.
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
    if let Some(words) = given["container_started"].as_str() {
        let found = captures(r"(\d+) (min|s) (before|after) the kubelet", words);
        let found = found.unwrap_or_else(|| panic!("started {words:?}"));
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

pub(in crate::kubelet_cases) async fn checks(case: &Case) {
    let (given, expect) = (&case.given, &case.expect);
    let mut bench = Bench::new(given);
    let kind = bench.kind;
    if given["on_hold_before"] == json!(true) || expect["on_hold_before_first"] == json!(true) {
        panic!("{}: a hold without a cause", case.id);
    }
    if let Some(before) = stored(&given["stored_before"]) {
        bench.manager.shared.results.set(kind, "u", "id", before);
        bench.worker.check.container_id = Some("id".to_owned());
    }
    let steps: Vec<(Option<PodStatus>, Answer)> =
        if let Some(results) = given["handler_results_in_order"].as_array() {
            let answers = results.iter().map(|result| Ok(verdict(result)));
            answers
                .map(|answer| (published(given, kind), answer))
                .collect()
        } else if let Some(steps) = given["steps"].as_array() {
            let status = |step| step_status(given, step, kind);
            steps
                .iter()
                .map(|step| (status(step), answer(&merged(given, step))))
                .collect()
        } else {
            vec![(published(given, kind), answer(given))]
        };
    let mut seen = Vec::new();
    for (status, answer) in steps {
        seen.push(bench.check(status, answer).await);
    }
    compare(case, &seen);
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

fn compare(case: &Case, seen: &[Seen]) {
    let expect = &case.expect;
    let last = seen.last().expect("a row has a check");
    let id = &case.id;
    match &expect["worker_continues"] {
        Value::Null => {}
        Value::String(always) if always == "always" => {
            assert!(seen.iter().all(|seen| seen.continues), "{id}");
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
        let all: Vec<&Value> = seen.iter().map(|seen| &seen.stored).collect();
        assert_eq!(&json!(all), expected, "{id}");
    }
    if let Some(expected) = expect["on_hold_after"].as_bool() {
        assert_eq!(last.on_hold, expected, "{id}");
    }
    if let Some(expected) = expect["run_counter_after"].as_u64() {
        assert_eq!(u64::from(last.run), expected, "{id}");
    }
    if let Some(expected) = expect.get("run_counter_after_each") {
        let all: Vec<u32> = seen.iter().map(|seen| seen.run).collect();
        assert_eq!(&json!(all), expected, "{id}");
    }
    for (seen, expected) in seen
        .iter()
        .zip(expect["steps"].as_array().into_iter().flatten())
    {
        for (key, value) in expected.as_object().unwrap() {
            let found = match key.as_str() {
                "worker_continues" => json!(seen.continues),
                "stored_result" => seen.stored.clone(),
                "on_hold" => json!(seen.on_hold),
                "run_counter" => json!(seen.run),
                other => panic!("{id}: unknown field {other:?} of a step"),
            };
            assert_eq!(&found, value, "{id} {key}");
        }
    }
}
