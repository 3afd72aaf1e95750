//! Reloads that change probes, and the start of dependencies.

use super::*;

#[tokio::test(start_paused = true)]
async fn changed_probe_keeps_its_result_until_a_new_threshold_is_reached() {
    for changed in [
        "tcpSocket: {port: 2}, periodSeconds: 5, initialDelaySeconds: 20, failureThreshold: 2",
        "tcpSocket: {port: 2}, periodSeconds: 3, initialDelaySeconds: 30",
        "tcpSocket: {port: 3}, periodSeconds: 5, initialDelaySeconds: 20",
    ] {
        let (engine, scripted) = engine();
        let config = |probe| {
            let startup = "startupProbe: {tcpSocket: {port: 1}}";
            read(&format!(
                "targets: [{{name: a, {startup}, readinessProbe: {{{probe}}}}}]"
            ))
        };
        let first = "tcpSocket: {port: 2}, periodSeconds: 5, initialDelaySeconds: 20";
        engine.apply(&config(first)).unwrap();
        pass(21_000).await;
        let before = scripted.attempts(2).len() + scripted.attempts(3).len();
        let mut changes = engine.changes();
        scripted.script(2, &[false]);
        scripted.script(3, &[false]);
        engine.apply(&config(changed)).unwrap();
        assert_eq!(status(&engine, "a", ProbeKind::Readiness), Status::Healthy);
        pass(4_500).await;
        let after = scripted.attempts(2).len() + scripted.attempts(3).len();
        assert!(
            after > before,
            "{changed}: the next attempt follows the period, not the initial delay"
        );
        assert_eq!(
            status(&engine, "a", ProbeKind::Readiness),
            Status::Healthy,
            "{changed}"
        );
        pass(20_000).await;
        assert_eq!(
            status(&engine, "a", ProbeKind::Readiness),
            Status::Unhealthy
        );
        let transitions = std::iter::from_fn(|| changes.try_recv().ok())
            .filter(|event| matches!(event, Event::Transition(..)));
        assert_eq!(transitions.count(), 1, "{changed}");
    }
}

#[tokio::test(start_paused = true)]
async fn changed_startup_probe_of_a_started_target_stays_succeeded() {
    let (engine, _) = engine();
    let config = |threshold| {
        let startup =
            format!("startupProbe: {{tcpSocket: {{port: 1}}, failureThreshold: {threshold}}}");
        read(&format!(
            "targets: [{{name: a, {startup}, readinessProbe: {{tcpSocket: {{port: 2}}}}}}]"
        ))
    };
    engine.apply(&config(3)).unwrap();
    pass(1_000).await;
    engine.apply(&config(4)).unwrap();
    for kind in [ProbeKind::Startup, ProbeKind::Readiness] {
        assert_eq!(status(&engine, "a", kind), Status::Healthy);
    }
}

#[tokio::test(start_paused = true)]
async fn first_attempts_of_dependencies_are_spread_over_a_period() {
    let (engine, scripted) = engine();
    let targets: Vec<String> = (1..=200)
        .map(|port| {
            let target = target(&format!("t{port}"), &[("livenessProbe", port, "")]);
            target.replacen('{', "{dependency: true, ", 1)
        })
        .collect();
    engine
        .apply(&read(&format!("targets: [{}]", targets.join(","))))
        .unwrap();
    pass(10_300).await;
    let first = (1..=200).map(|port| scripted.attempts(port)[0]);
    let in_first_half = first.filter(|time| *time < 5_000).count();
    assert!(
        (60..=140).contains(&in_first_half),
        "{in_first_half} of 200"
    );
}
