use serde_json::json;

use super::*;

fn key(namespace: &str, name: &str) -> Key {
    Key {
        resource: "/pods".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

fn object(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

#[test]
fn every_write_has_the_next_version() {
    let store = Store::default();
    let first = store.create(key("a", "x"), object("x")).unwrap();
    let second = store.replace(&key("a", "x"), &first, object("x")).unwrap();
    let gone = store.remove(&key("a", "x"), &second).unwrap();
    let versions =
        [&first, &second, &gone].map(|object| object["metadata"]["resourceVersion"].clone());
    assert_eq!(versions, ["1", "2", "3"]);
    assert_eq!((store.version(), store.get(&key("a", "x"))), (3, None));
}

#[test]
fn a_write_over_what_has_changed_is_a_conflict_and_changes_nothing() {
    let store = Store::default();
    let first = store.create(key("a", "x"), object("x")).unwrap();
    store.replace(&key("a", "x"), &first, object("x")).unwrap();
    assert_eq!(
        store.replace(&key("a", "x"), &first, object("x")),
        Err(WriteError::Conflict)
    );
    assert_eq!(
        store.remove(&key("a", "x"), &first),
        Err(WriteError::Conflict)
    );
    assert_eq!(
        store.create(key("a", "x"), object("x")),
        Err(WriteError::Exists)
    );
    assert_eq!(
        store.remove(&key("a", "y"), &first),
        Err(WriteError::NotFound)
    );
    assert_eq!(store.version(), 2);
}

#[test]
fn a_list_holds_one_kind_and_one_namespace_in_order() {
    let store = Store::default();
    for (namespace, name) in [("b", "x"), ("a", "z"), ("a", "y"), ("ab", "x")] {
        store.create(key(namespace, name), object(name)).unwrap();
    }
    let other = Key {
        resource: "/podsets".to_owned(),
        ..key("a", "w")
    };
    store.create(other, object("w")).unwrap();
    let names = |namespace| {
        let (objects, version) = store.list("/pods", namespace);
        assert_eq!(version, 5);
        objects
            .iter()
            .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(Some("a")), ["y", "z"]);
    assert_eq!(names(None), ["y", "z", "x", "x"]);
    assert!(names(Some("c")).is_empty());
}

#[test]
fn changes_go_on_from_any_version_that_is_remembered() {
    let store = Store::with_history(2);
    for name in ["x", "y", "z"] {
        store.create(key("a", name), object(name)).unwrap();
    }
    let seen = |since| {
        store.changes(since).map(|changes| {
            changes
                .iter()
                .map(|change| change.version)
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        seen(0),
        Err(TooOld {
            asked: 0,
            oldest: 1
        })
    );
    assert_eq!(seen(1), Ok(vec![2, 3]));
    assert_eq!(seen(2), Ok(vec![3]));
    assert_eq!(seen(3), Ok(vec![]));
}

#[test]
fn a_change_tells_what_was_and_what_is() {
    let store = Store::default();
    let first = store.create(key("a", "x"), object("x")).unwrap();
    store.remove(&key("a", "x"), &first).unwrap();
    let shapes: Vec<_> = store
        .changes(0)
        .unwrap()
        .iter()
        .map(|change| (change.before.is_some(), change.after.is_some()))
        .collect();
    assert_eq!(shapes, [(false, true), (true, false)]);
}

#[tokio::test]
async fn a_watcher_is_woken_by_the_next_write() {
    let store = Store::default();
    let mut latest = store.latest();
    latest.borrow_and_update();
    store.create(key("a", "x"), object("x")).unwrap();
    latest.changed().await.unwrap();
    assert_eq!(*latest.borrow(), 1);
}
