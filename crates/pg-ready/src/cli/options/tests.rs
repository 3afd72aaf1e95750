use super::*;

fn parse(line: &str) -> Result<Options, UsageError> {
    Options::parse(
        std::iter::once("pg-ready")
            .chain(line.split_whitespace())
            .map(OsString::from),
    )
}

#[test]
fn long_options_are_taken_by_an_unambiguous_beginning() {
    assert_eq!(parse("--ho=a").unwrap().host.as_deref(), Some("a"));
    assert_eq!(parse("--user a").unwrap().user.as_deref(), Some("a"));
    assert_eq!(parse("--h=a").unwrap().host.as_deref(), Some("a"));
    assert!(matches!(parse("--hosts=a"), Err(UsageError::Option(_))));
}

#[test]
fn unknown_options_missing_values_and_extra_words_are_refused() {
    for line in ["-x", "--nope", "-p", "extra", "-h a extra"] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn a_timeout_is_at_least_two_seconds_and_none_is_for_ever() {
    for (line, expected) in [
        ("", Some(3)),
        ("-t 5", Some(5)),
        ("-t 2", Some(2)),
        ("-t 1", Some(2)),
        ("-t 0", None),
        ("-t -1", None),
    ] {
        assert_eq!(
            parse(line).unwrap().timeout().unwrap(),
            expected.map(Duration::from_secs),
            "{line}"
        );
    }
    assert!(parse("-t x").unwrap().timeout().is_err());
}

#[test]
fn empty_options_say_nothing() {
    let options = Options {
        host: Some(String::new()),
        port: Some("1".to_owned()),
        ..Options::default()
    };
    assert_eq!(
        options.settings(),
        Settings::from([("port", "1".to_owned())])
    );
}

#[test]
fn help_and_version_count_only_in_the_first_place() {
    assert!(parse("--help -x").unwrap().help && parse("-?").unwrap().help);
    assert!(parse("--version").unwrap().version && parse("-V").unwrap().version);
    for line in ["-q --help", "-q -?", "-q -V", "-q --version", "--he"] {
        assert!(matches!(parse(line), Err(UsageError::Option(_))), "{line}");
    }
}
