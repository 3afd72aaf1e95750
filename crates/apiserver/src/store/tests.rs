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
fn every_write_increments_the_resource_version() {
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
fn write_over_a_changed_object_is_a_conflict_and_changes_nothing() {
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
fn list_has_the_objects_of_one_kind_and_namespace_in_order() {
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
fn events_continue_from_every_version_that_is_not_compacted() {
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
        Err(Compacted {
            asked: 0,
            oldest: 1
        })
    );
    assert_eq!(seen(1), Ok(vec![2, 3]));
    assert_eq!(seen(2), Ok(vec![3]));
    assert_eq!(seen(3), Ok(vec![]));
}

#[test]
fn event_has_the_object_before_and_after_the_change() {
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
async fn watcher_is_notified_of_the_next_write() {
    let store = Store::default();
    let mut latest = store.latest();
    latest.borrow_and_update();
    store.create(key("a", "x"), object("x")).unwrap();
    latest.changed().await.unwrap();
    assert_eq!(*latest.borrow(), 1);
}
