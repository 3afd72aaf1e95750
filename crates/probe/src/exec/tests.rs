use super::*;

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

async fn run(script: &str) -> Outcome {
    probe(&shell(script), Duration::from_secs(30))
        .await
        .expect("a shell starts")
}

/// Whether a process runs; a zombie does not.
fn is_running(id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|s| !s.starts_with('Z'))
    })
}

#[tokio::test]
async fn the_exit_code_decides() {
    for (script, verdict, reason) in [
        ("exit 0", Verdict::Success, None),
        ("exit 3", Verdict::Failure, Some(Reason::ExitCode(3))),
        (
            "no-such-program",
            Verdict::Failure,
            Some(Reason::ExitCode(127)),
        ),
        ("kill -9 $$", Verdict::Failure, Some(Reason::Signal(9))),
    ] {
        let outcome = run(script).await;
        assert_eq!(
            (outcome.verdict, outcome.reason),
            (verdict, reason),
            "{script}"
        );
    }
}

#[tokio::test]
async fn standard_error_follows_standard_output() {
    let outcome = run("echo err >&2; echo out; exit 1").await;
    assert_eq!(outcome.output, "out\nerr\n");
}

#[tokio::test]
async fn output_is_cut_at_its_limit_and_the_writer_is_not_held_up() {
    let outcome = run("head -c 300000 /dev/zero | tr '\\0' x; echo err >&2").await;
    assert_eq!(outcome.verdict, Verdict::Success);
    assert_eq!(outcome.output, "x".repeat(MAX_OUTPUT));
}

#[tokio::test]
async fn a_command_that_cannot_start_is_an_error() {
    let command = ["/no/such/program".to_owned()];
    let error = probe(&command, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.verdict, Verdict::Unknown);
    assert_eq!(
        error.message,
        "exec: \"/no/such/program\": no such file or directory"
    );
    let error = probe(&[], Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.message, "no command to run");
}

#[tokio::test]
async fn the_deadline_kills_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let script = format!(
        "sleep 1000 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let command = shell(&script);
    // Time stands still until the command has written its ids, then the deadline passes.
    tokio::time::pause();
    let attempt = tokio::spawn(async move { probe(&command, Duration::from_secs(1)).await });
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    let outcome = attempt.await.unwrap().unwrap();
    assert_eq!(outcome.verdict, Verdict::Failure);
    assert_eq!(outcome.reason, Some(Reason::ExecTimeout));
    assert_eq!(
        outcome.output,
        format!(
            "command timed out: {:?} timed out after 1s",
            format!("sh -c {script}")
        )
    );
    assert_ended(&file).await;
}

#[tokio::test]
async fn an_attempt_that_is_dropped_kills_the_whole_group() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let command = shell(&format!(
        "sleep 1000 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; wait",
        file.display()
    ));
    let attempt = tokio::spawn(async move { probe(&command, Duration::from_secs(1000)).await });
    while !file.exists() {
        tokio::task::yield_now().await;
    }
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    assert_ended(&file).await;
}

/// Waits until every process named in the file has ended; a kill takes a moment to arrive.
async fn assert_ended(ids: &std::path::Path) {
    let ids = std::fs::read_to_string(ids).unwrap();
    assert_eq!(ids.lines().count(), 2);
    for id in ids.lines() {
        while is_running(id) {
            tokio::task::yield_now().await;
        }
    }
}
