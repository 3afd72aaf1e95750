//! Complete exercises against a fake API server, on paused time.

mod fake_api_server;
mod http_load;
mod outage;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use jiff::Timestamp;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use self::fake_api_server::{ClusterState, FakeApiServer};
use super::{Report, RunContext, run};
use crate::exercise::catalog;
use crate::exercise::http::HttpClient;
use crate::exercise::transcript::Transcript;
use crate::exercise::verdict::Verdict;

/// Context of a run on the server, at the speed of the host's clock.
fn context<'a>(server: &Arc<FakeApiServer>, http: &'a dyn HttpClient) -> RunContext<'a> {
    RunContext {
        client: server.client(),
        namespace: "default".to_owned(),
        http,
        clock: Clock::new(Timestamp::UNIX_EPOCH, 1.0),
        engine: "scripted".to_owned(),
        image_errors_are_final: true,
        node_address: None,
        force: false,
        record: None,
    }
}

/// State of the pod some time after it broke.
#[derive(Clone, Copy)]
enum BrokenPod {
    Restarted,
    Unready,
}

/// Service of which one pod breaks at the first request.
struct BreakingService {
    server: Arc<FakeApiServer>,
    broken_pod: BrokenPod,
    status: u16,
    uri: &'static str,
}

#[async_trait]
impl HttpClient for BreakingService {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        assert_eq!(request.uri(), self.uri);
        let (server, broken_pod) = (Arc::clone(&self.server), self.broken_pod);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(15)).await;
            server.set_state(ClusterState {
                endpoints: 1,
                ready: [true, false],
                restarts: 0,
            });
            tokio::time::sleep(Duration::from_secs(15)).await;
            if let BrokenPod::Restarted = broken_pod {
                server.set_state(ClusterState {
                    endpoints: 2,
                    ready: [true, true],
                    restarts: 1,
                });
            }
        });
        Ok(Response::builder()
            .status(self.status)
            .body("42".to_owned())?)
    }
}

struct CaseResult {
    report: anyhow::Result<Report>,
    transcript: String,
    server: Arc<FakeApiServer>,
    duration: Duration,
}

/// Conditions of a run.
struct Case {
    exercise: &'static str,
    broken_pod: BrokenPod,
    status: u16,
    existing_object: Option<&'static str>,
    force: bool,
    interrupt_after_seconds: Option<u64>,
    leftover_pod_lists: u32,
    deletion_seconds: Option<u64>,
    node_address: Option<&'static str>,
    waiting_reason: Option<&'static str>,
    load_balancer_failure: Option<&'static str>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            exercise: "liveness",
            broken_pod: BrokenPod::Restarted,
            status: 200,
            existing_object: None,
            force: false,
            interrupt_after_seconds: None,
            leftover_pod_lists: 0,
            deletion_seconds: None,
            node_address: None,
            waiting_reason: None,
            load_balancer_failure: None,
        }
    }
}

async fn run_case(case: Case) -> CaseResult {
    let mut server = FakeApiServer::new(case.existing_object);
    server.waiting_reason = case.waiting_reason;
    server.load_balancer_failure = case.load_balancer_failure;
    let server = Arc::new(server);
    server
        .leftover_pod_lists
        .store(case.leftover_pod_lists, Ordering::Relaxed);
    if let Some(seconds) = case.deletion_seconds {
        server.delay_deletion(Duration::from_secs(seconds));
    }
    let exercise = catalog::select(&[case.exercise.to_owned()])
        .unwrap()
        .remove(0);
    let service = BreakingService {
        server: Arc::clone(&server),
        broken_pod: case.broken_pod,
        status: case.status,
        uri: match case.node_address {
            None => "http://127.0.0.1:8013/rng",
            Some(_) => "http://10.0.0.2:30013/rng",
        },
    };
    let context = RunContext {
        node_address: case.node_address,
        force: case.force,
        ..context(&server, &service)
    };
    let stop = CancellationToken::new();
    if let Some(seconds) = case.interrupt_after_seconds {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stop.cancel();
        });
    }
    let mut out = Vec::new();
    let start = tokio::time::Instant::now();
    let report = run(&exercise, &context, &mut Transcript::new(&mut out), &stop).await;
    CaseResult {
        report,
        transcript: String::from_utf8(out).unwrap(),
        server,
        duration: start.elapsed(),
    }
}

/// Verdict and reason of a run.
fn outcome(report: &Report) -> (Verdict, Option<&str>) {
    (report.verdict, report.reason.as_deref())
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/numbers-api";
const SERVICE: &str = "/api/v1/namespaces/default/services/numbers-api";

#[tokio::test(start_paused = true)]
async fn liveness_with_a_restarted_pod_passes() {
    let result = run_case(Case::default()).await;
    let report = result.report.unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{}", result.transcript);
    assert_eq!(report.assertions.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn service_is_called_at_its_node_port_with_a_node_address() {
    let result = run_case(Case {
        node_address: Some("10.0.0.2"),
        ..Case::default()
    })
    .await;
    let (report, transcript) = (result.report.unwrap(), result.transcript);
    assert_eq!(report.verdict, Verdict::Pass, "{transcript}");
    let call = "$ curl http://10.0.0.2:30013/rng\n42\n";
    assert!(transcript.contains(call), "{transcript}");
}

#[tokio::test(start_paused = true)]
async fn transcript_has_commands_and_their_output() {
    let transcript = run_case(Case::default()).await.transcript;
    let heading = "== liveness: a broken pod is restarted and returns to the service (scripted, namespace default)\n";
    assert!(transcript.starts_with(heading), "{transcript}");
    for part in [
        "$ kubectl apply -f numbers/api-service.yaml\nservice/numbers-api created\n",
        "deployment.apps/numbers-api created\n",
        "$ kubectl get pods -l app=numbers-api -o wide\nNAME   RESTARTS\na      0\nb      0\n",
        "$ curl http://127.0.0.1:8013/rng\n42\n",
        "$ kubectl get pods -l app=numbers-api -o wide\nNAME   RESTARTS\na      0\nb      1\n",
        "# Result of liveness (scripted)\n",
        "PASS  5 of 5 assertions passed\ndeployment.apps/numbers-api deleted\nservice/numbers-api deleted\n",
    ] {
        assert!(
            transcript.contains(part),
            "{part:?} is not in\n{transcript}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn liveness_without_a_restart_fails_and_its_assertions_are_not_judged() {
    let result = run_case(Case {
        broken_pod: BrokenPod::Unready,
        ..Case::default()
    })
    .await;
    let report = result.report.unwrap();
    let reason =
        "timed out after 90 s waiting for 2 ready pods and 2 endpoint addresses and 1 restart";
    assert_eq!(outcome(&report), (Verdict::Fail, Some(reason)));
    let verdicts = report.assertions.iter().map(|result| result.verdict);
    let verdicts: Vec<_> = verdicts.collect();
    assert_eq!(verdicts, [Verdict::NotJudged; 5]);
    assert_eq!(result.server.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn readiness_passes_with_an_unready_pod_and_fails_with_a_restarted_one() {
    for (broken_pod, verdict) in [
        (BrokenPod::Unready, Verdict::Pass),
        (BrokenPod::Restarted, Verdict::Fail),
    ] {
        let result = run_case(Case {
            exercise: "readiness",
            broken_pod,
            ..Case::default()
        })
        .await;
        let report = result.report.unwrap();
        assert_eq!(report.verdict, verdict, "{}", result.transcript);
    }
}

#[tokio::test(start_paused = true)]
async fn call_with_an_unexpected_status_ends_the_exercise() {
    let result = run_case(Case {
        status: 500,
        ..Case::default()
    })
    .await;
    let reason = "http://127.0.0.1:8013/rng: expected status 200, received 500";
    let report = result.report.unwrap();
    assert_eq!(outcome(&report), (Verdict::Fail, Some(reason)));
}

#[tokio::test(start_paused = true)]
async fn existing_object_is_an_error_and_neither_changed_nor_deleted() {
    let result = run_case(Case {
        existing_object: Some(DEPLOYMENT),
        ..Case::default()
    })
    .await;
    let reason = "deployment.apps/numbers-api exists already; delete it, or change it with --force";
    let report = result.report.unwrap();
    assert_eq!(outcome(&report), (Verdict::Error, Some(reason)));
    assert_eq!(result.transcript, "");
    assert!(result.server.deleted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn existing_object_with_force_is_changed_and_not_deleted() {
    let result = run_case(Case {
        existing_object: Some(DEPLOYMENT),
        force: true,
        ..Case::default()
    })
    .await;
    assert_eq!(result.report.unwrap().verdict, Verdict::Pass);
    let changed = "deployment.apps/numbers-api configured\n";
    let transcript = result.transcript;
    assert!(transcript.contains(changed), "{transcript}");
    assert_eq!(result.server.deleted(), [SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn interrupted_exercise_deletes_its_objects() {
    let result = run_case(Case {
        interrupt_after_seconds: Some(5),
        ..Case::default()
    })
    .await;
    let report = result.report.unwrap();
    assert_eq!(report.verdict, Verdict::Interrupted);
    let mut verdicts = report.assertions.iter().map(|result| result.verdict);
    assert!(verdicts.all(|verdict| verdict == Verdict::NotJudged));
    assert_eq!(result.server.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn exercise_ends_when_its_objects_are_removed() {
    let result = run_case(Case {
        interrupt_after_seconds: Some(5),
        deletion_seconds: Some(40),
        ..Case::default()
    })
    .await;
    assert_eq!(result.duration.as_secs(), 40);
    assert_eq!(result.server.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn objects_that_are_not_removed_in_time_are_an_error() {
    let result = run_case(Case {
        interrupt_after_seconds: Some(5),
        deletion_seconds: Some(1000),
        ..Case::default()
    })
    .await;
    let error = "created objects could not be deleted: \
                 deployment.apps/numbers-api, service/numbers-api still exist 120 s after their deletion";
    assert_eq!(format!("{:#}", result.report.unwrap_err()), error);
}

#[tokio::test(start_paused = true)]
async fn exercise_waits_for_leftover_pods_until_a_timeout() {
    let few = run_case(Case {
        leftover_pod_lists: 3,
        ..Case::default()
    })
    .await;
    let report = few.report.unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{}", few.transcript);
    let many = run_case(Case {
        leftover_pod_lists: u32::MAX,
        ..Case::default()
    })
    .await;
    let reason = "a, b would be selected as pods of numbers-api; delete them, or their owner";
    let report = many.report.unwrap();
    assert_eq!(outcome(&report), (Verdict::Error, Some(reason)));
    assert_eq!(
        (many.transcript.as_str(), many.duration.as_secs()),
        ("", 60)
    );
}

#[tokio::test(start_paused = true)]
async fn wait_for_a_pod_whose_image_fails_ends_immediately_with_the_reason() {
    let result = run_case(Case {
        waiting_reason: Some("ErrImagePull"),
        ..Case::default()
    })
    .await;
    let reason = "pod a cannot start: image \"x\" is unknown";
    let report = result.report.unwrap();
    assert_eq!(outcome(&report), (Verdict::Error, Some(reason)));
    assert_eq!(result.duration.as_secs(), 0);
    assert_eq!(result.server.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn wait_for_an_address_ends_with_the_reason_of_the_load_balancer() {
    let result = run_case(Case {
        load_balancer_failure: Some("port 8013 is in use"),
        ..Case::default()
    })
    .await;
    let reason = "service numbers-api has no load balancer: port 8013 is in use";
    let report = result.report.unwrap();
    assert_eq!(outcome(&report), (Verdict::Error, Some(reason)));
    assert!(result.duration.as_secs() < 5, "{:?}", result.duration);
}
