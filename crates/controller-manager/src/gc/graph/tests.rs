use super::*;

fn owner(uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: uid.to_owned(),
        uid: uid.to_owned(),
        block_owner_deletion: Some(true),
        controller: Some(true),
    }
}

fn set(uid: &str, finalizers: &[&str]) -> Object {
    Object {
        resource: ApiResource::erase::<ReplicaSet>(&()),
        namespace: "n".to_owned(),
        name: uid.to_owned(),
        uid: uid.to_owned(),
        owners: Vec::new(),
        finalizers: finalizers.iter().map(|text| (*text).to_owned()).collect(),
        deleted: !finalizers.is_empty(),
    }
}

fn pod(owners: &[&str]) -> Object {
    Object {
        resource: ApiResource::erase::<Pod>(&()),
        owners: owners.iter().map(|uid| owner(uid)).collect(),
        ..set("pod", &[])
    }
}

/// Each action in a word, with what is left.
fn words(objects: &[Object]) -> Vec<String> {
    let uids = |owners: &[OwnerReference]| {
        owners
            .iter()
            .map(|owner| owner.uid.clone())
            .collect::<Vec<_>>()
            .join(",")
    };
    let word = |action: &Action| match action {
        Action::Delete {
            object,
            absent,
            foreground,
        } => {
            format!(
                "delete {} without {}{}",
                object.uid,
                uids(absent),
                if *foreground { " foreground" } else { "" }
            )
        }
        Action::Disown { object, owners } => format!("disown {} but {}", object.uid, uids(owners)),
        Action::Release { object, finalizers } => {
            format!("release {} but {}", object.uid, finalizers.join(","))
        }
    };
    decide(objects).iter().map(word).collect()
}

#[track_caller]
fn check(objects: &[Object], expected: &[&str]) {
    assert_eq!(words(objects), expected);
}

#[test]
fn whoever_has_lost_every_owner_goes_and_whoever_has_lost_some_stays_with_the_rest() {
    check(&[pod(&[])], &[]);
    check(&[pod(&["a"]), set("a", &[])], &[]);
    check(&[pod(&["a"])], &["delete pod without a"]);
    check(&[pod(&["a", "b"]), set("b", &[])], &["disown pod but b"]);
    let mut going = pod(&["a"]);
    going.deleted = true;
    check(&[going], &[]);
}

#[test]
fn an_owner_that_is_deleted_in_the_foreground_waits_for_its_dependents() {
    check(
        &[pod(&["a"]), set("a", &[FOREGROUND, "x"])],
        &["delete pod without "],
    );
    check(&[set("a", &[FOREGROUND, "x"])], &["release a but x"]);
    // Whoever has another owner stays with that one.
    check(
        &[pod(&["a", "b"]), set("a", &[FOREGROUND]), set("b", &[])],
        &["disown pod but b"],
    );
    check(
        &[
            pod(&["a", "b"]),
            set("a", &[FOREGROUND]),
            set("b", &[FOREGROUND]),
        ],
        &["delete pod without "],
    );
    let mut unblocking = pod(&["a"]);
    unblocking.owners[0].block_owner_deletion = None;
    unblocking.deleted = true;
    check(&[unblocking, set("a", &[FOREGROUND])], &["release a but "]);
    let mut middle = set("m", &[]);
    middle.owners = vec![owner("a")];
    check(
        &[middle, set("a", &[FOREGROUND])],
        &["delete m without  foreground"],
    );
}

#[test]
fn an_owner_that_orphans_lets_its_dependents_go_free_first() {
    check(
        &[pod(&["a", "b"]), set("a", &[ORPHAN]), set("b", &[])],
        &["disown pod but b", "release a but "],
    );
}

#[test]
fn whoever_belongs_to_another_kind_is_left_alone() {
    let mut strange = pod(&["a"]);
    strange.owners[0].kind = "Job".to_owned();
    check(&[strange], &[]);
}
