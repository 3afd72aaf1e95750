use super::*;

const TEXT: &str = "\
# services
[first]
host=one
port=1

[second]
  host=two
port = 2
[third]
host=three
host=ignored
service=first
[fourth]
nonsense
[fifth]
dbname=five
[first]
host=again
";

fn settings(service: &str) -> Result<Option<Settings>, ServiceError> {
    find(TEXT, service, Path::new("file"))
}

#[test]
fn a_service_is_its_first_section() {
    let expected: Settings = [("host", "one".to_owned()), ("port", "1".to_owned())].into();
    assert_eq!(settings("first"), Ok(Some(expected)));
    assert_eq!(
        settings("fifth"),
        Ok(Some([("dbname", "five".to_owned())].into()))
    );
    for service in ["missing", "firs", "first]"] {
        assert_eq!(settings(service), Ok(None), "{service}");
    }
}

#[test]
fn a_line_that_is_none_is_named() {
    for (service, line) in [("second", 8), ("fourth", 14)] {
        let path = PathBuf::from("file");
        assert_eq!(settings(service), Err(ServiceError::Syntax { path, line }));
    }
    let path = PathBuf::from("file");
    assert_eq!(
        settings("third"),
        Err(ServiceError::Nested { path, line: 12 })
    );
}

#[test]
fn the_users_file_comes_before_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    std::fs::write(&own, "[a]\nhost=own\n").unwrap();
    std::fs::write(
        folder.path().join("pg_service.conf"),
        "[a]\nhost=system\n[b]\nhost=b\n",
    )
    .unwrap();
    let environment = |name: &str| match name {
        "PGSERVICEFILE" => Some(own.display().to_string()),
        "PGSYSCONFDIR" => Some(folder.path().display().to_string()),
        _ => None,
    };
    let host = |service| load(service, environment).map(|settings| settings["host"].clone());
    assert_eq!(host("a"), Ok("own".to_owned()));
    assert_eq!(host("b"), Ok("b".to_owned()));
    assert_eq!(host("c"), Err(ServiceError::NotFound("c".to_owned())));
    let none = load("a", |_| None).unwrap_err().to_string();
    assert_eq!(none, "definition of service \"a\" not found");
}
