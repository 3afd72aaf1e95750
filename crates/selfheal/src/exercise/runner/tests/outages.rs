//! An outage is measured from the first call that fails.

use super::*;
use crate::exercise::outage::Measured;

/// Answers once, breaks, tells of it after four seconds, and is restarted after ten.
struct BreaksOnce {
    fake: Arc<Fake>,
    since: std::sync::Mutex<Option<tokio::time::Instant>>,
    restarts: bool,
}

impl BreaksOnce {
    fn status(&self, path: &str) -> u16 {
        let mut since = self.since.lock().unwrap();
        let Some(since) = *since else {
            if path == "/rng" {
                *since = Some(tokio::time::Instant::now());
            }
            return 200;
        };
        let broken_for = since.elapsed().as_secs();
        let restarted = self.restarts && broken_for >= 10;
        match path {
            "/livez" if (4..10).contains(&broken_for) => 503,
            "/livez" => 200,
            _ if restarted => {
                self.fake.set(World {
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
impl Caller for BreaksOnce {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let status = self.status(request.uri().path());
        Ok(Response::builder().status(status).body(String::new())?)
    }
}

async fn outage(seen_at: &str, restarts: bool) -> (Report, String) {
    let fake = Arc::new(Fake::new(None));
    let text = format!(
        "name: x\ntitle: t\napps: [numbers-api]\nsteps:\n\
         - outage: {{found-by: somebody, path: /rng, within: 60{seen_at}}}\n\
         - assert: {{text: s, check: {{sooner: {{part: detected, by: somebody, than: somebody, times: 1}}}}}}\n"
    );
    let exercise = catalog::parse("x.yaml", &text).unwrap();
    let caller = BreaksOnce {
        fake: Arc::clone(&fake),
        since: std::sync::Mutex::default(),
        restarts,
    };
    let context = RunContext {
        client: fake.client(),
        namespace: "default".to_owned(),
        caller: &caller,
        clock: Clock::new(Timestamp::UNIX_EPOCH, 1.0),
        engine: "scripted".to_owned(),
        image_errors_are_final: true,
        node_address: None,
        force: false,
        record: None,
    };
    let mut out = Vec::new();
    let mut transcript = Transcript::new(&mut out);
    let report = run(
        &exercise,
        &context,
        &mut transcript,
        &CancellationToken::new(),
    )
    .await;
    (report.unwrap(), String::from_utf8(out).unwrap())
}

fn whole_seconds(outage: &Measured) -> [f64; 3] {
    [outage.detected, outage.restarted, outage.served].map(|part| part.as_secs_f64().round())
}

#[tokio::test(start_paused = true)]
async fn an_outage_lasts_until_it_is_told_of_until_the_restart_and_until_a_call_is_answered() {
    let (report, transcript) = outage(", seen-at: {app: numbers-api, path: /livez}", true).await;
    assert_eq!(report.verdict, Verdict::Pass, "{transcript}");
    assert_eq!(whole_seconds(&report.outages[0]), [4.0, 10.0, 10.0]);
    assert!(
        transcript.contains("(found by somebody: detected after "),
        "{transcript}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_page_that_tells_of_it_the_pod_does() {
    let (report, transcript) = outage("", true).await;
    assert_eq!(report.verdict, Verdict::Pass, "{transcript}");
    assert_eq!(whole_seconds(&report.outages[0]), [10.0, 10.0, 10.0]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_does_not_end_stops_the_exercise_and_is_not_measured() {
    let (report, _) = outage("", false).await;
    let stopped = "waited 60 s for the end of an outage of numbers-api";
    assert_eq!(report.reason.as_deref(), Some(stopped));
    assert_eq!(report.outages, []);
    assert_eq!(report.assertions[0].observed.as_deref(), None);
}
