use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;

use super::*;

fn supervisor() -> Supervisor {
    let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    Supervisor::new(Clock::new(start, 1.0), CancellationToken::new())
}

fn failure(supervisor: &Supervisor) -> Option<String> {
    supervisor.health().remove(0).failure
}

async fn pass(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_runs_again_with_its_state_after_a_growing_delay() {
    let supervisor = supervisor();
    let component = supervisor.component("a");
    let runs = Arc::new(AtomicU32::new(0));
    let counted = runs.clone();
    let running = tokio::spawn(async move {
        component
            .run("", counted, |runs| {
                async move {
                    let run = runs.fetch_add(1, Ordering::Relaxed);
                    assert!(run >= 3, "broken");
                }
                .boxed()
            })
            .await;
    });
    pass(0.5).await;
    for (delay, seen) in [(1.0, 1), (2.0, 2), (4.0, 3)] {
        assert_eq!(runs.load(Ordering::Relaxed), seen);
        assert_eq!(failure(&supervisor).as_deref(), Some("panicked: broken"));
        pass(delay).await;
    }
    running.await.unwrap();
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    assert_eq!(failure(&supervisor), None);
    let metrics = supervisor.encode_metrics();
    for line in [
        "selfheal_component_panics_total{component=\"a\"} 3",
        "selfheal_component_restarts_total{component=\"a\"} 3",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_is_failed_until_the_item_that_panicked_runs_without_a_panic() {
    let supervisor = supervisor();
    let component = supervisor.component("a");
    let item = |broken: bool| {
        let work = async move { assert!(!broken, "broken") };
        component.run_item("n/x", work)
    };
    for seconds in [1, 2, 4] {
        let retry_after = Duration::from_secs(seconds);
        assert_eq!(item(true).await, Err(Panicked { retry_after }));
    }
    let other = component.run_item("n/y", async { 1 }).await;
    assert_eq!(other, Ok(1));
    assert_eq!(
        failure(&supervisor).as_deref(),
        Some("panicked at n/x: broken")
    );
    assert_eq!(item(false).await, Ok(()));
    assert_eq!(failure(&supervisor), None);
    assert_eq!(supervisor.health()[0].panics, 3);
}

#[tokio::test(start_paused = true)]
async fn a_component_that_waits_for_its_restart_stops_with_the_node() {
    let supervisor = supervisor();
    let component = supervisor.component("a");
    let stopped = supervisor.shutdown().clone();
    let running = component.run("", (), |()| async { panic!("broken") }.boxed());
    let stop = async {
        pass(0.5).await;
        stopped.cancel();
    };
    tokio::join!(running, stop);
    assert_eq!(supervisor.health()[0].panics, 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_panics_is_counted_and_restarts_nothing() {
    let supervisor = supervisor();
    let component = supervisor.component("a");
    component.run_once(async { panic!("broken") }).await;
    assert_eq!(component.call_once(|| -> u32 { panic!("broken") }), None);
    let health = supervisor.health().remove(0);
    assert_eq!((health.failure, health.panics), (None, 2));
}

#[test]
fn a_component_that_never_panicked_has_its_counters() {
    let supervisor = supervisor();
    let _component = supervisor.component("a");
    let metrics = supervisor.encode_metrics();
    assert!(metrics.contains("selfheal_component_panics_total{component=\"a\"} 0"));
    assert!(metrics.contains("selfheal_component_restarts_total{component=\"a\"} 0"));
}
