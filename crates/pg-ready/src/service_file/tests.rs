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
fn service_is_its_first_section() {
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
fn invalid_line_is_reported_with_its_number() {
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
fn user_file_precedes_system_file() {
    let dir = tempfile::tempdir().unwrap();
    let user_file = dir.path().join("user.conf");
    std::fs::write(&user_file, "[a]\nhost=user\n").unwrap();
    std::fs::write(
        dir.path().join("pg_service.conf"),
        "[a]\nhost=system\n[b]\nhost=b\n",
    )
    .unwrap();
    let environment = |name: &str| match name {
        "PGSERVICEFILE" => Some(user_file.display().to_string()),
        "PGSYSCONFDIR" => Some(dir.path().display().to_string()),
        _ => None,
    };
    let host = |service| load(service, environment).map(|settings| settings["host"].clone());
    assert_eq!(host("a"), Ok("user".to_owned()));
    assert_eq!(host("b"), Ok("b".to_owned()));
    assert_eq!(host("c"), Err(ServiceError::NotFound("c".to_owned())));
    let undefined = load("a", |_| None).unwrap_err().to_string();
    assert_eq!(undefined, "definition of service \"a\" not found");
}
