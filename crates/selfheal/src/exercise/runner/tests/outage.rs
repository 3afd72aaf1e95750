//! Outages are measured from the first failed request.

use super::*;
use crate::exercise::outage::MeasuredOutage;

/// Returns 200 once and then fails; its status page returns 503 after 4 s, and it is restarted after 10 s if `is_restarted`.
struct FailingService {
    server: Arc<FakeApiServer>,
    first_request: std::sync::Mutex<Option<tokio::time::Instant>>,
    is_restarted: bool,
}

impl FailingService {
    fn status(&self, path: &str) -> u16 {
        let mut first_request = self.first_request.lock().unwrap();
        let Some(failed_at) = *first_request else {
            if path == "/rng" {
                *first_request = Some(tokio::time::Instant::now());
            }
            return 200;
        };
        let elapsed = failed_at.elapsed().as_secs();
        match path {
            "/livez" if (4..10).contains(&elapsed) => 503,
            "/livez" => 200,
            _ if self.is_restarted && elapsed >= 10 => {
                self.server.set_state(ClusterState {
                    endpoints: 2,
                    ready: [true, true],
                    restarts: 1,
                });
                200
            }
            _ => 500,
        }
    }
}

#[async_trait]
impl HttpClient for FailingService {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let status = self.status(request.uri().path());
        Ok(Response::builder().status(status).body(String::new())?)
    }
}

async fn run_outage(more_fields: &str, is_restarted: bool) -> (Report, String) {
    let server = Arc::new(FakeApiServer::new(None));
    let text = format!(
        "name: x\ntitle: t\napps: [numbers-api]\nsteps:\n\
         - outage: {{detected-by: d, path: /rng, timeout-seconds: 60{more_fields}}}\n\
         - assert: {{text: s, check: {{faster: {{phase: detected, detector: d, than: d, factor: 1}}}}}}\n"
    );
    let exercise = catalog::parse("x.yaml", &text).unwrap();
    let service = FailingService {
        server: Arc::clone(&server),
        first_request: std::sync::Mutex::default(),
        is_restarted,
    };
    let context = context(&server, &service);
    let mut out = Vec::new();
    let mut transcript = Transcript::new(&mut out);
    let stop = CancellationToken::new();
    let report = run(&exercise, &context, &mut transcript, &stop).await;
    (report.unwrap(), String::from_utf8(out).unwrap())
}

fn whole_seconds(outage: &MeasuredOutage) -> [f64; 3] {
    let durations = [outage.detected, outage.restarted, outage.served];
    durations.map(|duration| duration.as_secs_f64().round())
}

#[tokio::test(start_paused = true)]
async fn outage_with_a_status_page_is_detected_by_the_page() {
    let page = ", detected-at: {app: numbers-api, path: /livez}";
    let (report, transcript) = run_outage(page, true).await;
    assert_eq!(report.verdict, Verdict::Pass, "{transcript}");
    assert_eq!(whole_seconds(&report.outages[0]), [4.0, 10.0, 10.0]);
    assert!(transcript.contains("(d: detected after "), "{transcript}");
}

#[tokio::test(start_paused = true)]
async fn outage_without_a_status_page_is_detected_by_the_pod() {
    let (report, transcript) = run_outage("", true).await;
    assert_eq!(report.verdict, Verdict::Pass, "{transcript}");
    assert_eq!(whole_seconds(&report.outages[0]), [10.0, 10.0, 10.0]);
}

#[tokio::test(start_paused = true)]
async fn outage_without_an_end_stops_the_exercise_and_is_not_measured() {
    let (report, _) = run_outage("", false).await;
    let reason = "timed out after 60 s waiting for the end of an outage of numbers-api";
    assert_eq!(report.reason.as_deref(), Some(reason));
    assert_eq!(report.outages, []);
    assert_eq!(report.assertions[0].observed.as_deref(), None);
}
