use super::*;

#[track_caller]
fn assert_settings(text: &str, expected: &[(&str, &str)]) {
    let parsed = parse(text).unwrap();
    let parsed: Vec<_> = parsed
        .iter()
        .map(|(keyword, value)| (*keyword, value.as_str()))
        .collect();
    assert_eq!(parsed, expected, "{text}");
}

#[test]
fn keyword_value_string_is_parsed() {
    assert_settings("", &[]);
    assert_settings("host=a port = 1", &[("host", "a"), ("port", "1")]);
    assert_settings(
        r"user='a b' dbname=c\ d",
        &[("dbname", "c d"), ("user", "a b")],
    );
    assert_settings(r"password='it\'s'", &[("password", "it's")]);
    assert_settings("host=", &[("host", "")]);
    assert_settings("port=1 port=2", &[("port", "2")]);
    assert_settings("host=a\x0bport=1", &[("host", "a"), ("port", "1")]);
    assert_settings("requiressl=1", &[("sslmode", "require")]);
    assert_settings("requiressl=0", &[("sslmode", "prefer")]);
}

#[test]
fn uri_is_parsed() {
    assert_settings("postgresql://", &[]);
    assert_settings("postgres://h", &[("host", "h")]);
    assert_settings(
        "postgresql://u:p@h:1/d",
        &[
            ("dbname", "d"),
            ("host", "h"),
            ("password", "p"),
            ("port", "1"),
            ("user", "u"),
        ],
    );
    assert_settings(
        "postgresql://[::1]:5433/",
        &[("host", "::1"), ("port", "5433")],
    );
    assert_settings("postgresql://a:1,b/", &[("host", "a,b"), ("port", "1,")]);
    assert_settings(
        "postgresql:///d?host=/run&port=7",
        &[("dbname", "d"), ("host", "/run"), ("port", "7")],
    );
    assert_settings(
        "postgresql://%2Frun/d",
        &[("dbname", "d"), ("host", "/run")],
    );
    assert_settings(
        "postgresql://h?ssl=true",
        &[("host", "h"), ("sslmode", "require")],
    );
    assert_settings(
        "postgresql://h?requiressl=2&",
        &[("host", "h"), ("sslmode", "prefer")],
    );
}

#[test]
fn invalid_connection_string_is_rejected() {
    for text in [
        "host",
        "host x",
        "nope=1",
        "host='a",
        "postgresql://[::1",
        "postgresql://[]",
        "postgresql://[::1]x",
        "postgresql://h?host",
        "postgresql://h?host=a=b",
        "postgresql://h?nope=1",
        "postgresql://h?user=x&&port=1",
        "postgresql://h?&",
        "postgresql://a%zz",
        "postgresql://a%00",
        "postgresql://a%2",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn uri_error_omits_values() {
    for text in ["postgresql://h?password=s3=cret", "postgresql://u:s3%zz@h"] {
        let error = parse(text).unwrap_err().to_string();
        assert!(!error.contains("s3"), "{text}: {error}");
    }
}

#[test]
fn database_name_with_equals_sign_or_scheme_is_a_connection_string() {
    for (text, expected) in [
        ("a", false),
        ("a=b", true),
        ("postgres://", true),
        ("postgresql://h", true),
        ("postgresq://", false),
    ] {
        assert_eq!(is_connection_string(text), expected, "{text}");
    }
}

#[test]
fn environment_variable_sets_its_keyword() {
    let settings = from_environment(|name| (name == "PGHOST").then(|| "h".to_owned()));
    assert_eq!(settings, Settings::from([("host", "h".to_owned())]));
}
