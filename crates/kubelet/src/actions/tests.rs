use container_runtime::{ContainerId, Image};
use jiff::Timestamp;

use super::*;
use crate::instance::{Exited, Instance};

const WELL: Probed = Probed {
    liveness_failed: false,
    startup_failed: false,
};
const DEAD: Probed = Probed {
    liveness_failed: true,
    startup_failed: false,
};
const NEVER_UP: Probed = Probed {
    liveness_failed: false,
    startup_failed: true,
};
const BOTH: Probed = Probed {
    liveness_failed: true,
    startup_failed: true,
};

fn instance(exit: Option<i32>) -> Record {
    let image = Image {
        reference: "i".into(),
        id: "i".into(),
        entrypoint: vec![],
        cmd: vec![],
        env: vec![],
        stop_signal: None,
    };
    let exit = exit.map(|code| Exited {
        code,
        signal: None,
        at: Timestamp::UNIX_EPOCH,
    });
    let id = ContainerId("c".into());
    let current = Some(Instance {
        id,
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

#[track_caller]
fn check(policy: RestartPolicy, record: &Record, probed: Probed, expected: &Step) {
    assert_eq!(decide(policy, record, probed), *expected);
}

#[test]
fn a_container_that_never_ran_is_started_under_every_policy() {
    for policy in [
        RestartPolicy::Always,
        RestartPolicy::OnFailure,
        RestartPolicy::Never,
    ] {
        check(policy, &Record::default(), BOTH, &Step::Start);
    }
}

#[test]
fn an_exit_is_followed_by_a_start_where_the_policy_says_so() {
    use RestartPolicy::{Always, Never, OnFailure};
    check(Always, &instance(Some(0)), WELL, &Step::Start);
    check(Always, &instance(Some(1)), WELL, &Step::Start);
    check(OnFailure, &instance(Some(0)), WELL, &Step::Finished);
    check(OnFailure, &instance(Some(1)), WELL, &Step::Start);
    check(Never, &instance(Some(0)), WELL, &Step::Finished);
    check(Never, &instance(Some(1)), WELL, &Step::Finished);
}

#[test]
fn stale_results_do_not_touch_an_instance_that_ended() {
    check(
        RestartPolicy::Never,
        &instance(Some(137)),
        BOTH,
        &Step::Finished,
    );
}

#[test]
fn a_failed_probe_kills_and_restarts_unless_never() {
    use RestartPolicy::{Always, Never, OnFailure};
    let kill = |failed, restart| Step::Kill { failed, restart };
    check(Always, &instance(None), WELL, &Step::Keep);
    check(Always, &instance(None), DEAD, &kill(Failed::Liveness, true));
    check(
        OnFailure,
        &instance(None),
        DEAD,
        &kill(Failed::Liveness, true),
    );
    check(Never, &instance(None), DEAD, &kill(Failed::Liveness, false));
    check(
        Always,
        &instance(None),
        NEVER_UP,
        &kill(Failed::Startup, true),
    );
    check(Always, &instance(None), BOTH, &kill(Failed::Liveness, true));
}

#[test]
fn the_message_names_the_probe_and_whether_it_comes_back() {
    assert_eq!(
        kill_message("api", Failed::Liveness, true, false),
        "Container api failed liveness probe, will be restarted"
    );
    assert_eq!(
        kill_message("api", Failed::Startup, false, false),
        "Container api failed startup probe"
    );
    assert_eq!(
        kill_message("log", Failed::Liveness, true, true),
        "Init container log failed liveness probe"
    );
}
