use container_runtime::{ContainerId, Image};
use jiff::Timestamp;

use super::*;
use crate::instance::{Exited, Instance};

/// How far an init container is.
#[derive(Clone, Copy)]
enum Is {
    New,
    Runs,
    Ended(i32),
}

fn record(is: Is) -> Record {
    let exit = match is {
        Is::New => return Record::default(),
        Is::Runs => None,
        Is::Ended(code) => Some(Exited {
            code,
            signal: None,
            at: Timestamp::UNIX_EPOCH,
        }),
    };
    let image = Image {
        reference: "i".into(),
        id: "i".into(),
        entrypoint: vec![],
        cmd: vec![],
        env: vec![],
        stop_signal: None,
    };
    let current = Some(Instance {
        id: ContainerId("c".into()),
        attempt: 0,
        image,
        started_at: Timestamp::UNIX_EPOCH,
        exit,
        message: None,
    });
    Record {
        current,
        ..Record::default()
    }
}

struct Row {
    sidecar: bool,
    is: Is,
    started: bool,
    probed: Probed,
}

fn plain(is: Is) -> Row {
    Row {
        sidecar: false,
        is,
        started: false,
        probed: Probed::default(),
    }
}

fn sidecar(is: Is) -> Row {
    Row {
        sidecar: true,
        is,
        started: true,
        probed: Probed::default(),
    }
}

fn starting(is: Is) -> Row {
    Row {
        started: false,
        ..sidecar(is)
    }
}

fn probed(liveness_failed: bool, startup_failed: bool) -> Row {
    let probed = Probed {
        liveness_failed,
        startup_failed,
    };
    Row {
        probed,
        started: !startup_failed,
        ..sidecar(Is::Runs)
    }
}

fn planned(policy: RestartPolicy, rows: &[Row], has_run: bool) -> Plan {
    let records: Vec<_> = rows.iter().map(|row| record(row.is)).collect();
    let inits: Vec<_> = rows
        .iter()
        .zip(&records)
        .map(|(row, record)| Init {
            sidecar: row.sidecar,
            record,
            started: row.started,
            probed: row.probed,
        })
        .collect();
    plan(policy, &inits, has_run)
}

#[track_caller]
fn check(rows: &[Row], has_run: bool, steps: &[(usize, Step)], done: bool) {
    for policy in [RestartPolicy::Always, RestartPolicy::OnFailure] {
        let expected = Plan {
            steps: steps.to_vec(),
            done,
            failed: false,
        };
        assert_eq!(planned(policy, rows, has_run), expected, "{policy:?}");
    }
}

use Is::{Ended, New, Runs};
use Step::Start;

#[test]
fn plain_ones_run_one_after_the_other_and_each_has_to_succeed() {
    check(&[], false, &[], true);
    check(&[plain(New), plain(New)], false, &[(0, Start)], false);
    check(&[plain(Runs), plain(New)], false, &[], false);
    check(&[plain(Ended(0)), plain(New)], false, &[(1, Start)], false);
    check(&[plain(Ended(1)), plain(New)], false, &[(0, Start)], false);
    check(&[plain(Ended(0)), plain(Runs)], false, &[], false);
    check(&[plain(Ended(0)), plain(Ended(0))], false, &[], true);
}

#[test]
fn once_the_pod_has_run_plain_ones_do_not_matter_any_more() {
    check(&[plain(Ended(0))], true, &[], true);
    check(&[plain(Ended(1)), plain(New)], true, &[], true);
}

#[test]
fn a_failure_under_never_is_the_pods() {
    let rows = [sidecar(Ended(1)), plain(Ended(3)), plain(New)];
    let expected = Plan {
        failed: true,
        ..Plan::default()
    };
    assert_eq!(planned(RestartPolicy::Never, &rows, false), expected);
}

#[test]
fn a_sidecar_lets_the_next_one_start_once_it_has_started() {
    check(&[sidecar(New), plain(New)], false, &[(0, Start)], false);
    check(&[starting(Runs), plain(New)], false, &[], false);
    check(&[sidecar(Runs), plain(New)], false, &[(1, Start)], false);
    check(&[starting(Runs)], false, &[], false);
    check(&[sidecar(Runs)], false, &[], true);
}

#[test]
fn a_sidecar_that_ends_is_started_again_at_any_time_and_under_any_policy() {
    check(
        &[sidecar(Ended(0)), plain(Runs)],
        false,
        &[(0, Start)],
        false,
    );
    check(
        &[sidecar(Ended(1)), plain(Ended(0))],
        true,
        &[(0, Start)],
        true,
    );
    check(&[sidecar(New)], true, &[(0, Start)], true);
    let never = planned(RestartPolicy::Never, &[sidecar(Ended(0))], true);
    assert_eq!(never.steps, [(0, Start)]);
}

#[test]
fn a_failed_probe_restarts_a_sidecar_and_liveness_does_not_hold_up_the_next_one() {
    let kill = |failed| Step::Kill {
        failed,
        restart: true,
    };
    check(
        &[probed(false, true), plain(New)],
        false,
        &[(0, kill(Failed::Startup))],
        false,
    );
    check(
        &[probed(true, false), plain(New)],
        false,
        &[(1, Start), (0, kill(Failed::Liveness))],
        false,
    );
    check(
        &[probed(true, false)],
        true,
        &[(0, kill(Failed::Liveness))],
        true,
    );
}
