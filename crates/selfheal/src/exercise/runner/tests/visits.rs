//! Visitors who call while an exercise runs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::exercise::http::NoConnection;
use crate::exercise::observe::Observer;
use crate::exercise::runner::visits::{Order, Visitor};

/// Says yes at one address and no at every other, and counts.
#[derive(Default)]
struct Counts(Mutex<BTreeMap<String, u32>>);

#[async_trait]
impl Caller for Counts {
    async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
        let url = request.uri().to_string();
        let status = if url.ends_with("/yes") { 200 } else { 503 };
        *self.0.lock().unwrap().entry(url).or_default() += 1;
        Ok(Response::builder().status(status).body(String::new())?)
    }
}

#[tokio::test(start_paused = true)]
async fn visitors_call_side_by_side_each_at_its_own_pace() {
    let client = Arc::new(Fake::new(None)).client();
    let exercise = catalog::select(&["liveness".to_owned()]).unwrap().remove(0);
    let observer = Observer::start(&client, "default", &exercise);
    let caller = Counts::default();
    let context = RunContext {
        client,
        namespace: "default".to_owned(),
        caller: &caller,
        clock: Clock::new(Timestamp::UNIX_EPOCH, 2.0),
        engine: "scripted".to_owned(),
        image_errors_are_final: true,
        node_address: None,
        force: false,
        record: None,
    };
    let (orders, visitor) = Visitor::new(&context, &observer);
    for (path, every) in [("yes", 1000), ("no", 100)] {
        orders.give(Order {
            url: format!("http://a/{path}"),
            status: 200,
            every: Duration::from_millis(every),
        });
    }
    // Just before ten seconds of the cluster's have passed.
    let visits = tokio::time::timeout(Duration::from_millis(4975), visitor.visits());
    assert!(visits.await.is_err());
    let called = caller.0.into_inner().unwrap();
    let expected = [("http://a/no", 100), ("http://a/yes", 10)];
    assert_eq!(called, expected.map(|(url, n)| (url.to_owned(), n)).into());
    let seen = observer.subscribe().borrow().visits.clone();
    assert_eq!((seen.all, seen.failures.len()), (110, 100));
    assert_eq!(seen.failures[0], "http://a/no: status 503");
}

/// Takes no connection at first.
struct TakesNone {
    connections: Mutex<u32>,
}

#[async_trait]
impl Caller for TakesNone {
    async fn send(&self, _: Request<String>) -> anyhow::Result<Response<String>> {
        let mut connections = self.connections.lock().unwrap();
        *connections += 1;
        if *connections <= 3 {
            return Err(anyhow::anyhow!("refused").context(NoConnection));
        }
        Ok(Response::new(String::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn visits_begin_once_somebody_takes_the_connection() {
    let text = "name: x\ntitle: t\napps: [numbers-api]\nsteps:\n\
                - visit: {path: /rng, status: 200}\n\
                - sleep: 5\n\
                - assert: {text: s, check: every-visit-answered}\n";
    let exercise = catalog::parse("x.yaml", text).unwrap();
    let caller = TakesNone {
        connections: Mutex::new(0),
    };
    let context = RunContext {
        client: Arc::new(Fake::new(None)).client(),
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
    let stop = CancellationToken::new();
    let report = run(&exercise, &context, &mut Transcript::new(&mut out), &stop).await;
    let transcript = String::from_utf8(out).unwrap();
    assert_eq!(report.unwrap().verdict, Verdict::Pass, "{transcript}");
}
