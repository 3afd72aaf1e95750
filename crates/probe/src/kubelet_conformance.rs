//! Conformance with the kubelet: rows of its own unit tests, as data, are run against this crate.
//!
//! `KUBELET_PROBE_CASES` replaces the file with rows. A row with unknown fields or values fails.

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

pub(crate) use server::tls_acceptor;

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

fn read_cases() -> Vec<Case> {
    let default_path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/testdata/kubelet-probe-cases.json"
    );
    let path = std::env::var("KUBELET_PROBE_CASES").unwrap_or_else(|_| default_path.to_owned());
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: File = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    file.cases.into_iter().chain(file.extra).collect()
}

/// Rows with real sockets and processes run concurrently; the others one after the other, each on its own paused time.
#[test]
fn all_rows_of_kubelet_tests_pass() {
    let cases = read_cases();
    assert!(!cases.is_empty(), "the file contains no rows");
    let (real_io, paused_time): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| {
        matches!(case.kind.as_str(), "http" | "tcp" | "exec" | "grpc") || manager::is_scale(case)
    });
    let mut results = run_with_real_io(real_io);
    results.extend(paused_time.into_iter().map(|case| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let run = AssertUnwindSafe(|| runtime.block_on(run_on_paused_time(&case)));
        let passed = catch_unwind(run).is_ok();
        (case, passed)
    }));
    report(&results);
}

fn run_with_real_io(cases: Vec<Case>) -> Vec<(Case, bool)> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let runs = cases.into_iter().map(|case| async move {
        let run = async {
            match case.kind.as_str() {
                "worker" => manager::run_scale(&case).await,
                _ => transport::run(&case).await,
            }
        };
        let passed = AssertUnwindSafe(run).catch_unwind().await.is_ok();
        (case, passed)
    });
    runtime.block_on(futures::future::join_all(runs))
}

async fn run_on_paused_time(case: &Case) {
    match case.kind.as_str() {
        "request" => request::run(case).await,
        "worker" if backoff::can_run(case) => backoff::run(case),
        "worker" if manager::can_run(case) => manager::run(case).await,
        "worker" => worker::run(case).await,
        kind => panic!("{}: unknown kind {kind:?}", case.id),
    }
}

fn report(results: &[(Case, bool)]) {
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for (case, passed) in results {
        let count = counts.entry(&case.kind).or_default();
        count.0 += usize::from(*passed);
        count.1 += 1;
    }
    for (kind, (passed, all)) in counts {
        println!("{kind}: {passed} of {all} rows pass");
    }
    let failed: Vec<&str> = results
        .iter()
        .filter(|(_, passed)| !passed)
        .map(|(case, _)| case.id.as_str())
        .collect();
    assert!(failed.is_empty(), "failed rows: {failed:?}");
}
