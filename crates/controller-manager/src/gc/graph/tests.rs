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

/// Formats each action with the remaining references.
fn format_actions(objects: &[Object]) -> Vec<String> {
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
        Action::RemoveOwnerReferences { object, owners } => {
            format!("disown {} but {}", object.uid, uids(owners))
        }
        Action::RemoveFinalizer { object, finalizers } => {
            format!("release {} but {}", object.uid, finalizers.join(","))
        }
    };
    decide(objects).iter().map(word).collect()
}

#[track_caller]
fn check(objects: &[Object], expected: &[&str]) {
    assert_eq!(format_actions(objects), expected);
}

#[test]
fn dependents_without_owners_are_deleted_and_dangling_references_removed() {
    check(&[pod(&[])], &[]);
    check(&[pod(&["a"]), set("a", &[])], &[]);
    check(&[pod(&["a"])], &["delete pod without a"]);
    check(&[pod(&["a", "b"]), set("b", &[])], &["disown pod but b"]);
    let mut going = pod(&["a"]);
    going.deleted = true;
    check(&[going], &[]);
}

#[test]
fn owner_in_foreground_deletion_waits_for_its_dependents() {
    check(
        &[pod(&["a"]), set("a", &[FOREGROUND, "x"])],
        &["delete pod without "],
    );
    check(&[set("a", &[FOREGROUND, "x"])], &["release a but x"]);
    // A dependent with another owner stays.
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
fn orphaning_owner_removes_its_references_first() {
    check(
        &[pod(&["a", "b"]), set("a", &[ORPHAN]), set("b", &[])],
        &["disown pod but b", "release a but "],
    );
}

#[test]
fn dependents_of_unknown_kinds_are_kept() {
    let mut strange = pod(&["a"]);
    strange.owners[0].kind = "Job".to_owned();
    check(&[strange], &[]);
}
