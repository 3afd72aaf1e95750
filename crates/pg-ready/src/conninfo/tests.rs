use super::*;

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let parsed = parse(text).unwrap();
    let parsed: Vec<_> = parsed
        .iter()
        .map(|(keyword, value)| (*keyword, value.as_str()))
        .collect();
    assert_eq!(parsed, expected, "{text}");
}

#[test]
fn words_are_blank_separated_quoted_and_escaped() {
    check("", &[]);
    check("host=a port = 1", &[("host", "a"), ("port", "1")]);
    check(
        r"user='a b' dbname=c\ d",
        &[("dbname", "c d"), ("user", "a b")],
    );
    check(r"password='it\'s'", &[("password", "it's")]);
    check("host=", &[("host", "")]);
    check("port=1 port=2", &[("port", "2")]);
    check("host=a\x0bport=1", &[("host", "a"), ("port", "1")]);
    check("requiressl=1", &[("sslmode", "require")]);
    check("requiressl=0", &[("sslmode", "prefer")]);
}

#[test]
fn uris_name_users_hosts_ports_databases_and_parameters() {
    check("postgresql://", &[]);
    check("postgres://h", &[("host", "h")]);
    check(
        "postgresql://u:p@h:1/d",
        &[
            ("dbname", "d"),
            ("host", "h"),
            ("password", "p"),
            ("port", "1"),
            ("user", "u"),
        ],
    );
    check(
        "postgresql://[::1]:5433/",
        &[("host", "::1"), ("port", "5433")],
    );
    check("postgresql://a:1,b/", &[("host", "a,b"), ("port", "1,")]);
    check(
        "postgresql:///d?host=/run&port=7",
        &[("dbname", "d"), ("host", "/run"), ("port", "7")],
    );
    check(
        "postgresql://%2Frun/d",
        &[("dbname", "d"), ("host", "/run")],
    );
    check(
        "postgresql://h?ssl=true",
        &[("host", "h"), ("sslmode", "require")],
    );
    check(
        "postgresql://h?requiressl=2&",
        &[("host", "h"), ("sslmode", "prefer")],
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
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
fn a_database_name_with_an_equals_sign_or_a_scheme_is_a_connection_string() {
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
fn the_environment_sets_what_its_variables_name() {
    let settings = from_environment(|name| (name == "PGHOST").then(|| "h".to_owned()));
    assert_eq!(settings, Settings::from([("host", "h".to_owned())]));
}
