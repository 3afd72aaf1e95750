//! Requests of `load` steps during an exercise.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::exercise::http::ConnectError;
use crate::exercise::observe::Observer;
use crate::exercise::runner::http_load::{LoadGenerator, LoadSpec};

/// Returns 200 for one path and 503 for any other, and counts the requests by URL.
#[derive(Default)]
struct CountingService(Mutex<BTreeMap<String, u32>>);

#[async_trait]
impl HttpClient for CountingService {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let url = request.uri().to_string();
        let status = if url.ends_with("/ok") { 200 } else { 503 };
        *self.0.lock().unwrap().entry(url).or_default() += 1;
        Ok(Response::builder().status(status).body(String::new())?)
    }
}

#[tokio::test(start_paused = true)]
async fn loads_run_concurrently_each_at_its_interval() {
    let server = Arc::new(FakeApiServer::new(None));
    let service = CountingService::default();
    let context = RunContext {
        clock: Clock::new(Timestamp::UNIX_EPOCH, 2.0),
        ..context(&server, &service)
    };
    let exercise = catalog::select(&["liveness".to_owned()]).unwrap().remove(0);
    let observer = Observer::start(&context.client, "default", &exercise);
    let (starter, generator) = LoadGenerator::new(&context, &observer);
    for (path, interval_millis) in [("ok", 1000), ("failed", 100)] {
        starter.start(LoadSpec {
            url: format!("http://a/{path}"),
            status: 200,
            interval: Duration::from_millis(interval_millis),
        });
    }
    // Just below ten seconds on the cluster's clock.
    let loads = tokio::time::timeout(Duration::from_millis(4975), generator.run());
    assert!(loads.await.is_err());
    let requests = service.0.lock().unwrap().clone();
    let expected = [("http://a/failed", 100), ("http://a/ok", 10)];
    let expected = expected.map(|(url, count)| (url.to_owned(), count));
    assert_eq!(requests, expected.into());
    let load = observer.subscribe().borrow().load.clone();
    assert_eq!((load.requests, load.failures.len()), (110, 100));
    assert_eq!(load.failures[0], "http://a/failed: status 503");
}

/// Refuses the first three connections.
struct StartingService {
    connections: Mutex<u32>,
}

#[async_trait]
impl HttpClient for StartingService {
    async fn send(&self, _: Request<String>) -> anyhow::Result<Response<String>> {
        let mut connections = self.connections.lock().unwrap();
        *connections += 1;
        if *connections <= 3 {
            return Err(anyhow::anyhow!("refused").context(ConnectError));
        }
        Ok(Response::new(String::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn load_starts_after_the_first_accepted_connection() {
    let text = "name: x\ntitle: t\napps: [numbers-api]\nsteps:\n\
                - load: {path: /rng, status: 200}\n\
                - sleep: 5\n\
                - assert: {text: s, check: no-failed-requests}\n";
    let exercise = catalog::parse("x.yaml", text).unwrap();
    let server = Arc::new(FakeApiServer::new(None));
    let service = StartingService {
        connections: Mutex::new(0),
    };
    let context = context(&server, &service);
    let mut out = Vec::new();
    let stop = CancellationToken::new();
    let report = run(&exercise, &context, &mut Transcript::new(&mut out), &stop).await;
    let transcript = String::from_utf8(out).unwrap();
    assert_eq!(report.unwrap().verdict, Verdict::Pass, "{transcript}");
}
