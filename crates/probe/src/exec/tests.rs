use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

use super::*;

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).to_vec()
}

async fn run(script: &str) -> Outcome {
    probe(&shell(script), Duration::from_secs(30))
        .await
        .expect("a shell starts")
}

#[tokio::test]
async fn exit_code_determines_the_verdict() {
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
async fn output_is_truncated_and_the_writer_is_not_blocked() {
    let outcome = run("head -c 300000 /dev/zero | tr '\\0' x; echo err >&2").await;
    assert_eq!(outcome.verdict, Verdict::Success);
    assert_eq!(outcome.output, "x".repeat(MAX_OUTPUT));
}

#[tokio::test]
async fn command_that_cannot_start_is_an_error() {
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

/// A FIFO that a command and its child hold open, so reading to its end shows that both have exited.
struct HeldFifo {
    _dir: tempfile::TempDir,
    fifo: std::path::PathBuf,
}

impl HeldFifo {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("held");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Self { _dir: dir, fifo }
    }

    fn script(&self) -> String {
        let fifo = self.fifo.display();
        format!("exec 3> {fifo}; sleep 1000 & echo both run >&3; wait")
    }

    /// Waits until both run. The paused clock does not advance while a blocking task runs.
    async fn wait_for_both(&self) -> BufReader<File> {
        let fifo = self.fifo.clone();
        let opened = tokio::task::spawn_blocking(|| {
            let mut reader = BufReader::new(File::open(fifo).unwrap());
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert_eq!(line, "both run\n");
            reader
        });
        opened.await.unwrap()
    }
}

async fn assert_both_exit(mut reader: BufReader<File>) {
    let read = tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
    assert_eq!(read.await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn command_past_its_deadline_is_killed_with_its_group() {
    let held = HeldFifo::new();
    let script = held.script();
    let command = shell(&script);
    // Time is paused until the command runs; then the deadline passes.
    tokio::time::pause();
    let attempt = tokio::spawn(async move { probe(&command, Duration::from_secs(1)).await });
    let reader = held.wait_for_both().await;
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
    assert_both_exit(reader).await;
}

#[tokio::test]
async fn dropped_attempt_kills_the_whole_group() {
    let held = HeldFifo::new();
    let command = shell(&held.script());
    let attempt = tokio::spawn(async move { probe(&command, Duration::from_secs(1000)).await });
    let reader = held.wait_for_both().await;
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    assert_both_exit(reader).await;
}
