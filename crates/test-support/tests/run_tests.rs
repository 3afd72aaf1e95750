//! The counts that `run-tests` prints last.

#![expect(clippy::unwrap_used, reason = "a test's helpers panic as tests do")]

use std::process::Command;

use selfheal_test_support::repository;

/// Output and exit code of `run-tests` with a runner that is this shell script, after records of an earlier run.
fn run(runner: &str) -> (String, Option<i32>) {
    let dir = tempfile::tempdir().unwrap();
    let records = dir.path().join("records");
    std::fs::write(&records, "old\ttest\tkubectl\tof an earlier run\n").unwrap();
    let output = Command::new(repository().join("crates/test-support/run-tests"))
        .args(["sh", "-c", runner])
        .env("SELFHEAL_TEST_SKIPS", &records)
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[track_caller]
fn check(runner: &str, counts: &str, code: i32) -> String {
    let (printed, seen) = run(runner);
    assert_eq!(printed.lines().last(), Some(counts), "{printed}");
    assert_eq!(seen, Some(code), "{printed}");
    printed
}

const CARGO: &str = "
echo 'running 3 tests' >&2
echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s'
echo 'test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 1.00s'
";
const NEXTEST: &str = "echo '     Summary [   1.250s] 9 tests run: 7 passed (1 slow), 1 failed, 1 timed out, 2 skipped' >&2";

fn record(program: &str, test: &str, requirement: &str) -> String {
    format!("printf '{program}\\t{test}\\t{requirement}\\tnot here\\n' >> $SELFHEAL_TEST_SKIPS\n")
}

#[test]
fn results_of_test_programs_are_added_up_and_old_records_are_not_counted() {
    check(CARGO, "7 passed, 0 failed, 1 skipped", 0);
}

#[test]
fn recorded_tests_count_as_skipped_once_each_and_not_as_passed() {
    let records = [
        record("a", "one", "kubectl"),
        record("a", "one", "root"),
        record("a", "two", "kubectl"),
        record("b", "one", "browser"),
        record("b", "tests/main.rs:7", "browser"),
        record("b", "tests/main.rs:7", "browser"),
    ];
    let runner = records.concat() + CARGO;
    let printed = check(&runner, "2 passed, 0 failed, 6 skipped", 0);
    for line in ["    2  kubectl: not here", "    3  browser: not here"] {
        assert!(printed.lines().any(|seen| seen == line), "{printed}");
    }
}

#[test]
fn summary_of_nextest_is_read_and_its_exit_code_kept() {
    let runner = format!("{}{NEXTEST}; exit 100", record("a", "one", "kubectl"));
    check(&runner, "6 passed, 2 failed, 3 skipped", 100);
    let colored = "printf '\\033[32m     Summary\\033[0m [   1.0s] \\033[1m2\\033[0m tests run: \\033[1m2\\033[0m passed, \\033[1m0\\033[0m skipped\\n'";
    check(colored, "2 passed, 0 failed, 0 skipped", 0);
}

#[test]
fn crashed_test_program_counts_as_a_failure() {
    check(
        &format!("{CARGO}exit 101"),
        "7 passed, 1 failed, 1 skipped",
        101,
    );
}

#[test]
fn runner_without_a_summary_has_no_counts() {
    let message = "run-tests: the runner exited with 101 before its summary";
    check("echo 'error: could not compile'; exit 101", message, 101);
}
