use super::*;

fn data() -> BTreeMap<String, Bytes> {
    [("a", "1"), ("b", "2")]
        .map(|(key, text)| (key.to_owned(), Bytes::from(text)))
        .into()
}

fn item(key: &str, path: &str, mode: Option<i32>) -> KeyToPath {
    KeyToPath {
        key: key.to_owned(),
        path: path.to_owned(),
        mode,
    }
}

fn files(items: Option<&[KeyToPath]>, optional: bool) -> Result<Files, VolumeError> {
    let keys = KeySelection {
        items,
        mode: Some(0o400),
        optional: Some(optional),
    };
    select_keys("v", "configmap", &data(), &keys)
}

#[track_caller]
fn check(items: Option<&[KeyToPath]>, expected: &[(&str, &str, u32)]) {
    let files = files(items, false).unwrap();
    let seen: Vec<_> = files
        .iter()
        .map(|(path, (bytes, mode))| (path.as_str(), std::str::from_utf8(bytes).unwrap(), *mode))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn keys_without_items_are_all_files() {
    check(None, &[("a", "1", 0o400), ("b", "2", 0o400)]);
    check(Some(&[]), &[("a", "1", 0o400), ("b", "2", 0o400)]);
}

#[test]
fn items_select_keys_paths_and_modes() {
    check(Some(&[item("b", "x/y", None)]), &[("x/y", "2", 0o400)]);
    check(Some(&[item("a", "z", Some(0o1644))]), &[("z", "1", 0o644)]);
}

#[test]
fn missing_key_is_an_error_unless_the_volume_is_optional() {
    let items = [item("c", "x", None)];
    let error = files(Some(&items), false).unwrap_err().to_string();
    let expected =
        "MountVolume.SetUp failed for volume \"v\" : references non-existent config key: c";
    assert_eq!(error, expected);
    assert!(files(Some(&items), true).is_ok());
}

#[test]
fn paths_outside_the_volume_are_errors() {
    for (path, inside) in [
        ("a", true),
        ("a/b", true),
        ("..data", false),
        ("a/..b", true),
        ("", false),
        ("/a", false),
        ("a/", false),
        ("a//b", false),
        ("..", false),
        ("a/../b", false),
        (".", false),
        ("a/.", false),
    ] {
        assert_eq!(is_inside_volume(path), inside, "{path}");
        let items = [item("a", path, None)];
        assert_eq!(files(Some(&items), false).is_ok(), inside, "{path}");
    }
}
