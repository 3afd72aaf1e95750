//! Rows about published container statuses, and about many probes of one address.

use super::*;

/// Checks `ready` and `started` of a status before it is published.
pub(in crate::kubelet_conformance) async fn check_status(case: &Case) {
    case.reject_unknown_fields(
        &[
            "container",
            "worker",
            "startup_worker",
            "stored_readiness",
            "stored_startup",
            "published_started",
            "sidecar",
        ],
        &["ready", "started"],
    );
    let given = &case.given;
    let mut kinds = Vec::new();
    if given["worker"].is_string() {
        kinds.push(probe_kind(&given["worker"]));
    }
    if given["startup_worker"] == json!(true) {
        kinds.push(ProbeKind::Startup);
    }
    let is_init = case.has("sidecar");
    let mut probed = container("c", &kinds);
    if given["sidecar"] == json!(true) {
        probed.restart_policy = Some("Always".to_owned());
    }
    let pod = worker::pod(&[(probed, is_init)], "Always");
    let (manager, _updates) =
        worker::manager(Arc::new(ScriptedProber::always(Verdict::Unknown)), false);
    // Without a published status the workers do not probe, so only the results of the row are stored.
    manager.add_pod(&pod);
    for (key, kind) in [
        ("stored_readiness", ProbeKind::Readiness),
        ("stored_startup", ProbeKind::Startup),
    ] {
        if let Some(result) = stored_result(&given[key]) {
            manager.shared.results.set(kind, "u", "id", result);
        }
    }
    let mut container: ContainerStatus = worker::container_status(text(given, "container"));
    container.started = given["published_started"].as_bool();
    let mut status = PodStatus::default();
    let list = if is_init {
        &mut status.init_container_statuses
    } else {
        &mut status.container_statuses
    };
    *list = Some(vec![container]);
    manager.update_pod_status(&pod, &mut status);
    let list = if is_init {
        status.init_container_statuses
    } else {
        status.container_statuses
    };
    let found = &list.unwrap()[0];
    assert_eq!(json!(found.ready), case.expect["ready"], "{}", case.id);
    if let Some(started) = case.expect["started"].as_bool() {
        assert_eq!(found.started.unwrap_or_default(), started, "{}", case.id);
    }
}

/// Publishes the status after each result, as a host does.
pub(in crate::kubelet_conformance) async fn check_published(case: &Case) {
    case.reject_unknown_fields(
        &["probe_type", "spec", "handler_results"],
        &["published_ready", "published_started"],
    );
    let probed = probe_kind(&case.given["probe_type"]);
    let turns = case.given["handler_results"].as_array().unwrap();
    let scripted = Arc::new(ScriptedProber::always(Verdict::Success));
    let (manager, mut updates) = worker::manager(scripted.clone(), false);
    let pod = worker::pod(&[(container("c", &[probed]), false)], "Always");
    manager.set_status("u", worker::running(probed != ProbeKind::Startup));
    manager.add_pod(&pod);
    let (mut ready, mut started) = (Vec::new(), Vec::new());
    for turn in turns {
        let turn = turn.as_str().unwrap();
        let verdict = captures(
            r"(?:then )?(success|failure)(?: until .* is published)?",
            turn,
        );
        let verdict = verdict.unwrap_or_else(|| panic!("{}: unknown result {turn:?}", case.id));
        scripted.set_verdict(crate::kubelet_conformance::row::verdict(&json!(
            &verdict[1]
        )));
        tokio::time::sleep(Duration::from_secs(3)).await;
        while updates.try_recv().is_ok() {}
        let mut status = worker::running(probed != ProbeKind::Startup);
        manager.update_pod_status(&pod, &mut status);
        let container = &status.container_statuses.as_ref().unwrap()[0];
        ready.push(container.ready);
        started.push(container.started.unwrap());
        manager.set_status("u", status);
    }
    for (key, found) in [("published_ready", ready), ("published_started", started)] {
        if let Some(expected) = case.expect.get(key) {
            assert_eq!(&json!(found), expected, "{}", case.id);
        }
    }
}

/// Makes as many attempts on one address as the probes of the row would, without the pauses. They must not exhaust ports.
pub(in crate::kubelet_conformance) async fn run_scale(case: &Case) {
    case.reject_unknown_fields(
        &["pods", "containers", "probe", "duration_s", "target"],
        &["no_failure"],
    );
    let number = |key: &str| usize::try_from(case.given[key].as_u64().unwrap()).unwrap();
    let probes = number("pods") * number("containers");
    let period = captures(r".*period (\d+) s.*", text(&case.given, "probe")).unwrap();
    let attempts_per_probe = number("duration_s") / period[1].parse::<usize>().unwrap();
    let routes = crate::kubelet_conformance::server::parse_routes(&json!("200"), 1.0);
    let address = crate::kubelet_conformance::server::serve(routes, None).await;
    let handler = match text(&case.given, "probe").split(' ').next().unwrap() {
        "tcp" => ResolvedHandler::Tcp {
            host: address.ip().to_string(),
            port: address.port().into(),
        },
        "http" => ResolvedHandler::Http(crate::HttpGet {
            url: format!("http://{address}/"),
            headers: Vec::new(),
        }),
        other => panic!("{}: unknown probe {other:?}", case.id),
    };
    let prober = Arc::new(LocalProber::default());
    let tasks = (0..32).map(|first| {
        let (prober, handler) = (prober.clone(), handler.clone());
        tokio::spawn(async move {
            for _ in (first..probes * attempts_per_probe).step_by(32) {
                let outcome = prober
                    .probe(&target(), &handler, Duration::from_secs(60))
                    .await
                    .unwrap();
                assert_eq!(outcome.verdict, Verdict::Success, "{}", outcome.output);
            }
        })
    });
    for task in futures::future::join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(case.expect["no_failure"], Value::Bool(true));
}
