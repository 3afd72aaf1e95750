//! Whole exercises against a scripted API server, on paused time.

mod fake;
mod outages;
mod visits;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::{Request, Response};
use jiff::Timestamp;
use probe::Clock;
use tokio_util::sync::CancellationToken;

use self::fake::{Fake, World};
use super::{Report, RunContext, run};
use crate::exercise::catalog;
use crate::exercise::http::Caller;
use crate::exercise::transcript::Transcript;
use crate::exercise::verdict::Verdict;

/// Breaks a pod on the first call, and repairs it after a while if it is told to.
struct Breaks {
    fake: Arc<Fake>,
    repairs: bool,
    status: u16,
    uri: &'static str,
}

#[async_trait]
impl Caller for Breaks {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        assert_eq!(request.uri(), self.uri);
        let (fake, repairs) = (Arc::clone(&self.fake), self.repairs);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(15)).await;
            fake.set(World {
                endpoints: 1,
                ready: [true, false],
                restarts: 0,
            });
            tokio::time::sleep(Duration::from_secs(15)).await;
            if repairs {
                fake.set(World {
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

struct Ran {
    result: anyhow::Result<Report>,
    transcript: String,
    fake: Arc<Fake>,
    took: Duration,
}

struct Case {
    exercise: &'static str,
    repairs: bool,
    status: u16,
    exists: Option<&'static str>,
    force: bool,
    interrupt_after: Option<u64>,
    left_over: u32,
    lingers: Option<u64>,
    node_address: Option<&'static str>,
    pod_waits: Option<&'static str>,
    load_balancer_failure: Option<&'static str>,
}

impl Default for Case {
    fn default() -> Self {
        let (repairs, status) = (true, 200);
        Self {
            exercise: "liveness",
            repairs,
            status,
            exists: None,
            force: false,
            interrupt_after: None,
            left_over: 0,
            lingers: None,
            node_address: None,
            pod_waits: None,
            load_balancer_failure: None,
        }
    }
}

async fn ran(case: Case) -> Ran {
    let mut fake = Fake::new(case.exists);
    fake.pod_waits = case.pod_waits;
    fake.load_balancer_failure = case.load_balancer_failure;
    let fake = Arc::new(fake);
    fake.left_over.store(case.left_over, Ordering::Relaxed);
    if let Some(seconds) = case.lingers {
        fake.linger(Duration::from_secs(seconds));
    }
    let exercise = catalog::select(&[case.exercise.to_owned()])
        .unwrap()
        .remove(0);
    let caller = Breaks {
        fake: Arc::clone(&fake),
        repairs: case.repairs,
        status: case.status,
        uri: match case.node_address {
            None => "http://127.0.0.1:8013/rng",
            Some(_) => "http://10.0.0.2:30013/rng",
        },
    };
    let context = RunContext {
        client: fake.client(),
        namespace: "default".to_owned(),
        caller: &caller,
        clock: Clock::new(Timestamp::UNIX_EPOCH, 1.0),
        engine: "scripted".to_owned(),
        image_errors_are_final: true,
        node_address: case.node_address,
        force: case.force,
        record: None,
    };
    let stop = CancellationToken::new();
    if let Some(seconds) = case.interrupt_after {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stop.cancel();
        });
    }
    let mut out = Vec::new();
    let begin = tokio::time::Instant::now();
    let result = run(&exercise, &context, &mut Transcript::new(&mut out), &stop).await;
    Ran {
        result,
        transcript: String::from_utf8(out).unwrap(),
        fake,
        took: begin.elapsed(),
    }
}

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments/numbers-api";
const SERVICE: &str = "/api/v1/namespaces/default/services/numbers-api";

#[tokio::test(start_paused = true)]
async fn a_pod_that_is_restarted_and_returns_makes_every_claim_of_liveness_hold() {
    let ran = ran(Case::default()).await;
    let report = ran.result.unwrap();
    assert_eq!(report.verdict, Verdict::Pass, "{}", ran.transcript);
    assert_eq!(report.assertions.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_service_is_called_at_its_node_port_where_a_nodes_address_is_given() {
    let ran = ran(Case {
        node_address: Some("10.0.0.2"),
        ..Case::default()
    })
    .await;
    assert_eq!(
        ran.result.unwrap().verdict,
        Verdict::Pass,
        "{}",
        ran.transcript
    );
    let call = "$ curl http://10.0.0.2:30013/rng\n42\n";
    assert!(ran.transcript.contains(call), "{}", ran.transcript);
}

#[tokio::test(start_paused = true)]
async fn the_transcript_shows_commands_and_what_they_print() {
    let transcript = ran(Case::default()).await.transcript;
    let begin = "== liveness: a broken pod is restarted and returns to the service (scripted, namespace default)\n";
    assert!(transcript.starts_with(begin), "{transcript}");
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
    let ran = ran(Case {
        repairs: false,
        ..Case::default()
    })
    .await;
    let report = ran.result.unwrap();
    assert_eq!(report.verdict, Verdict::Fail);
    let stopped = "waited 90 s for 2 ready pods and 2 endpoint addresses and 1 restart";
    assert_eq!(report.reason.as_deref(), Some(stopped));
    let verdicts: Vec<_> = report
        .assertions
        .iter()
        .map(|result| result.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::NotJudged; 5]);
    assert_eq!(ran.fake.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_pod_that_stays_makes_readiness_hold_and_one_that_returns_does_not() {
    let stays = ran(Case {
        exercise: "readiness",
        repairs: false,
        ..Case::default()
    })
    .await;
    assert_eq!(
        stays.result.unwrap().verdict,
        Verdict::Pass,
        "{}",
        stays.transcript
    );
    let returns = ran(Case {
        exercise: "readiness",
        ..Case::default()
    })
    .await;
    assert_eq!(
        returns.result.unwrap().verdict,
        Verdict::Fail,
        "{}",
        returns.transcript
    );
}

#[tokio::test(start_paused = true)]
async fn an_unexpected_answer_ends_the_exercise() {
    let report = ran(Case {
        status: 500,
        ..Case::default()
    })
    .await
    .result
    .unwrap();
    let stopped = "http://127.0.0.1:8013/rng answered 500 where 200 was expected";
    assert_eq!(report.reason.as_deref(), Some(stopped));
}

#[tokio::test(start_paused = true)]
async fn what_exists_already_is_neither_changed_nor_deleted() {
    let ran = ran(Case {
        exists: Some(DEPLOYMENT),
        ..Case::default()
    })
    .await;
    let report = ran.result.unwrap();
    assert_eq!(report.verdict, Verdict::Error);
    let reason = "deployment.apps/numbers-api exists already; delete it, or change it with --force";
    assert_eq!(report.reason.as_deref(), Some(reason));
    assert_eq!(ran.transcript, "");
    assert!(ran.fake.deleted().is_empty());
}

#[tokio::test(start_paused = true)]
async fn with_force_what_exists_is_changed_but_not_deleted() {
    let ran = ran(Case {
        exists: Some(DEPLOYMENT),
        force: true,
        ..Case::default()
    })
    .await;
    assert_eq!(ran.result.unwrap().verdict, Verdict::Pass);
    assert!(
        ran.transcript
            .contains("deployment.apps/numbers-api configured\n"),
        "{}",
        ran.transcript
    );
    assert_eq!(ran.fake.deleted(), [SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_exercise_deletes_what_it_made() {
    let ran = ran(Case {
        interrupt_after: Some(5),
        ..Case::default()
    })
    .await;
    let report = ran.result.unwrap();
    assert_eq!(report.verdict, Verdict::Interrupted);
    assert!(
        report
            .assertions
            .iter()
            .all(|result| result.verdict == Verdict::NotJudged)
    );
    assert_eq!(ran.fake.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn an_exercise_ends_when_what_it_made_is_gone_and_not_before() {
    let ran = ran(Case {
        interrupt_after: Some(5),
        lingers: Some(40),
        ..Case::default()
    })
    .await;
    assert_eq!(ran.took.as_secs(), 40);
    assert_eq!(ran.fake.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_go_is_named() {
    let ran = ran(Case {
        interrupt_after: Some(5),
        lingers: Some(1000),
        ..Case::default()
    })
    .await;
    let error = "created objects could not be deleted: \
                 deployment.apps/numbers-api, service/numbers-api are not gone 120 s after they were deleted";
    assert_eq!(format!("{:#}", ran.result.unwrap_err()), error);
}

#[tokio::test(start_paused = true)]
async fn an_exercise_begins_when_the_pods_of_a_deleted_deployment_are_gone() {
    let few = ran(Case {
        left_over: 3,
        ..Case::default()
    })
    .await;
    assert_eq!(
        few.result.unwrap().verdict,
        Verdict::Pass,
        "{}",
        few.transcript
    );
    let many = ran(Case {
        left_over: u32::MAX,
        ..Case::default()
    })
    .await;
    let reason = "a, b would be selected as pods of numbers-api; delete them, or their owner";
    let report = many.result.unwrap();
    assert_eq!(
        (report.verdict, report.reason.as_deref()),
        (Verdict::Error, Some(reason))
    );
    assert_eq!((many.transcript.as_str(), many.took.as_secs()), ("", 60));
}

#[tokio::test(start_paused = true)]
async fn wait_for_a_pod_whose_image_fails_ends_immediately_with_the_reason() {
    let ran = ran(Case {
        pod_waits: Some("ErrImagePull"),
        ..Case::default()
    })
    .await;
    let report = ran.result.unwrap();
    let reason = "pod a cannot start: image \"x\" is unknown";
    assert_eq!(
        (report.verdict, report.reason.as_deref()),
        (Verdict::Error, Some(reason))
    );
    assert_eq!(ran.took.as_secs(), 0);
    assert_eq!(ran.fake.deleted(), [DEPLOYMENT, SERVICE]);
}

#[tokio::test(start_paused = true)]
async fn wait_for_an_address_ends_with_the_reason_of_the_load_balancer() {
    let ran = ran(Case {
        load_balancer_failure: Some("port 8013 is in use"),
        ..Case::default()
    })
    .await;
    let report = ran.result.unwrap();
    let reason = "service numbers-api has no load balancer: port 8013 is in use";
    assert_eq!(
        (report.verdict, report.reason.as_deref()),
        (Verdict::Error, Some(reason))
    );
    assert!(ran.took.as_secs() < 5, "{:?}", ran.took);
}
