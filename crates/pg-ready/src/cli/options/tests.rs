use super::*;

fn parse(line: &str) -> Result<Options, UsageError> {
    Options::parse(
        std::iter::once("pg-ready")
            .chain(line.split_whitespace())
            .map(OsString::from),
        true,
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

#[test]
fn what_pg_isready_does_not_know_is_known_only_in_full_and_not_under_its_name() {
    let line = "--check=login,write --check primary --wait 2m --output=json --password-file f";
    let options = parse(line).unwrap();
    assert_eq!(options.checks, [Check::Login, Check::Write, Check::Primary]);
    assert_eq!(options.wait, Some(Duration::from_secs(120)));
    assert_eq!(options.output, Output::Json);
    assert_eq!(options.password_file.as_deref(), Some("f"));
    assert!(options.goes_beyond() && !parse("-h x").unwrap().goes_beyond());
    for name in BEYOND {
        let words = ["pg_isready", &format!("--{name}=login")].map(OsString::from);
        assert!(Options::parse(words.into_iter(), false).is_err(), "{name}");
    }
    assert!(parse("--chec=login").is_err());
    // pg_isready's beginnings keep their meaning.
    assert_eq!(parse("--p=1").unwrap().port.as_deref(), Some("1"));
}

#[test]
fn what_makes_no_sense_beyond_is_refused_by_name() {
    for (line, words) in [
        ("--check=x", "--check: unknown check \"x\""),
        (
            "--check=primary,standby",
            "--check: checks primary and standby exclude each other",
        ),
        ("--wait=soon", "--wait: \"soon\" is no duration"),
        ("--output=xml", "--output: \"xml\" is neither text nor json"),
        ("-q --", "no command after --"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn a_command_follows_two_dashes() {
    for (line, command) in [
        ("-q -- echo -h x", vec!["echo", "-h", "x"]),
        ("-- exec echo", vec!["echo"]),
        ("-- exec", vec!["exec"]),
    ] {
        assert_eq!(parse(line).unwrap().command, command, "{line}");
    }
}
