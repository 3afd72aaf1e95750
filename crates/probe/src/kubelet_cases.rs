//! Rows of the kubelet's own tests, as data: each one is run against this crate.
//!
//! `KUBELET_PROBE_CASES` names another file of the same form. A row that is not understood is a failed row.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt as _;
use serde::Deserialize;
use serde_json::Value;

mod backoff;
mod manager;
mod request;
mod row;
mod server;
mod transport;
mod worker;

pub(crate) use server::acceptor;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    extra: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    id: String,
    kind: String,
    given: Value,
    expect: Value,
}

fn read() -> Vec<Case> {
    let copy = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/kubelet-probe-cases.json"
    );
    let path = std::env::var("KUBELET_PROBE_CASES").unwrap_or_else(|_| copy.to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    file.cases.into_iter().chain(file.extra).collect()
}

/// Rows about real sockets and processes run side by side; the others one by one, each on paused time of its own.
#[test]
fn every_row_of_the_kubelets_tests_holds() {
    let cases = read();
    assert!(!cases.is_empty(), "a file without rows proves nothing");
    let (outside, inside): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| {
        matches!(case.kind.as_str(), "http" | "tcp" | "exec" | "grpc") || manager::is_scale(case)
    });
    let mut verdicts = run_outside(outside);
    verdicts.extend(inside.into_iter().map(|case| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let run = AssertUnwindSafe(|| runtime.block_on(run_inside(&case)));
        let held = catch_unwind(run).is_ok();
        (case, held)
    }));
    report(&verdicts);
}

fn run_outside(cases: Vec<Case>) -> Vec<(Case, bool)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let runs = cases.into_iter().map(|case| async move {
        let run = async {
            match case.kind.as_str() {
                "worker" => manager::scale(&case).await,
                _ => transport::run(&case).await,
            }
        };
        let held = AssertUnwindSafe(run).catch_unwind().await.is_ok();
        (case, held)
    });
    runtime.block_on(futures::future::join_all(runs))
}

async fn run_inside(case: &Case) {
    match case.kind.as_str() {
        "request" => request::run(case).await,
        "worker" if backoff::is_about(case) => backoff::run(case),
        "worker" if manager::is_about(case) => manager::run(case).await,
        "worker" => worker::run(case).await,
        kind => panic!("{}: unknown kind {kind:?}", case.id),
    }
}

fn report(verdicts: &[(Case, bool)]) {
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for (case, held) in verdicts {
        let count = counts.entry(&case.kind).or_default();
        count.0 += usize::from(*held);
        count.1 += 1;
    }
    for (kind, (held, all)) in counts {
        println!("{kind}: {held} of {all} rows hold");
    }
    let broken: Vec<&str> = verdicts
        .iter()
        .filter(|(_, held)| !held)
        .map(|(case, _)| case.id.as_str())
        .collect();
    assert!(broken.is_empty(), "rows that do not hold: {broken:?}");
}
