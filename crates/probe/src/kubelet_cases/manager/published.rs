//! What is published of a container, and many probes at one address.

use super::*;

/// A container's status as it is about to be published.
pub(in crate::kubelet_cases) async fn status(case: &Case) {
    case.only(
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
        kinds.push(kind(&given["worker"]));
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
    let (manager, _updates) = worker::manager(Arc::new(Scripted::always(Verdict::Unknown)), false);
    // Without a published status no worker checks anything: what is stored is what the row stores.
    manager.add_pod(&pod);
    for (key, kind) in [
        ("stored_readiness", ProbeKind::Readiness),
        ("stored_startup", ProbeKind::Startup),
    ] {
        if let Some(result) = stored(&given[key]) {
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

/// The host publishes what it is told, and the worker goes on from there.
pub(in crate::kubelet_cases) async fn publishing(case: &Case) {
    case.only(
        &["probe_type", "spec", "handler_results"],
        &["published_ready", "published_started"],
    );
    let probed = kind(&case.given["probe_type"]);
    let turns = case.given["handler_results"].as_array().unwrap();
    let words: Vec<&str> = turns.iter().map(|turn| turn.as_str().unwrap()).collect();
    let scripted = Arc::new(Scripted::always(Verdict::Success));
    let (manager, mut updates) = worker::manager(scripted.clone(), false);
    let pod = worker::pod(&[(container("c", &[probed]), false)], "Always");
    manager.set_status("u", worker::running(probed != ProbeKind::Startup));
    manager.add_pod(&pod);
    let (mut ready, mut started) = (Vec::new(), Vec::new());
    for turn in words {
        let verdict = captures(
            r"(?:then )?(success|failure)(?: until .* is published)?",
            turn,
        );
        let verdict = verdict.unwrap_or_else(|| panic!("{}: turn {turn:?}", case.id));
        scripted.answer(crate::kubelet_cases::row::verdict(&json!(&verdict[1])));
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

/// As many attempts at one address as the row's probes would make, without its pauses: ports must not run out.
pub(in crate::kubelet_cases) async fn scale(case: &Case) {
    case.only(
        &["pods", "containers", "probe", "duration_s", "target"],
        &["no_failure"],
    );
    let number = |key: &str| usize::try_from(case.given[key].as_u64().unwrap()).unwrap();
    let probes = number("pods") * number("containers");
    let period = captures(r".*period (\d+) s.*", text(&case.given, "probe")).unwrap();
    let each = number("duration_s") / period[1].parse::<usize>().unwrap();
    let routes = crate::kubelet_cases::server::routes(&json!("200"), 1.0);
    let address = crate::kubelet_cases::server::serve(routes, None).await;
    let action = match text(&case.given, "probe").split(' ').next().unwrap() {
        "tcp" => Action::Tcp {
            host: address.ip().to_string(),
            port: address.port().into(),
        },
        "http" => Action::Http(crate::HttpGet {
            url: format!("http://{address}/"),
            headers: Vec::new(),
        }),
        other => panic!("{}: no probe {other:?}", case.id),
    };
    let prober = Arc::new(LocalProber::default());
    let lanes = (0..32).map(|lane| {
        let (prober, action) = (prober.clone(), action.clone());
        tokio::spawn(async move {
            for _ in (lane..probes * each).step_by(32) {
                let outcome = prober
                    .probe(&target(), &action, Duration::from_secs(60))
                    .await
                    .unwrap();
                assert_eq!(outcome.verdict, Verdict::Success, "{}", outcome.output);
            }
        })
    });
    for lane in futures::future::join_all(lanes).await {
        lane.unwrap();
    }
    assert_eq!(case.expect["no_failure"], Value::Bool(true));
}
