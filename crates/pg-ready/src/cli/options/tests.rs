use super::*;

fn parse(line: &str) -> Result<Options, UsageError> {
    Options::parse(
        std::iter::once("pg-ready")
            .chain(line.split_whitespace())
            .map(OsString::from)
            .collect(),
        OptionSet::Extended,
    )
}

#[test]
fn long_option_is_recognized_by_a_prefix() {
    assert_eq!(parse("--ho=a").unwrap().host.as_deref(), Some("a"));
    assert_eq!(parse("--user a").unwrap().user.as_deref(), Some("a"));
    assert_eq!(parse("--h=a").unwrap().host.as_deref(), Some("a"));
    // Extended options do not make a prefix ambiguous.
    assert_eq!(parse("--p=1").unwrap().port.as_deref(), Some("1"));
    assert!(matches!(parse("--hosts=a"), Err(UsageError::Option(_))));
}

#[test]
fn invalid_command_line_is_rejected() {
    for line in [
        "-x",
        "--nope",
        "-p",
        "extra",
        "-h a extra",
        "--chec=login",
        "--alive --check=login",
        "--alive --wait=1s",
        "--alive -- true",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn connect_timeout_is_at_least_two_seconds_and_zero_disables_it() {
    for (line, expected) in [
        ("", Some(3)),
        ("-t 5", Some(5)),
        ("-t 2", Some(2)),
        ("-t 1", Some(2)),
        ("-t 0", None),
        ("-t -1", None),
    ] {
        assert_eq!(
            parse(line).unwrap().connect_timeout().unwrap(),
            expected.map(Duration::from_secs),
            "{line}"
        );
    }
    assert!(parse("-t x").unwrap().connect_timeout().is_err());
}

#[test]
fn empty_option_sets_nothing() {
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
fn help_and_version_are_recognized_only_as_the_first_argument() {
    assert!(parse("--help -x").unwrap().help && parse("-?").unwrap().help);
    assert!(parse("--version").unwrap().version && parse("-V").unwrap().version);
    for line in ["-q --help", "-q -?", "-q -V", "-q --version", "--he"] {
        assert!(matches!(parse(line), Err(UsageError::Option(_))), "{line}");
    }
}

#[test]
fn extended_options_are_parsed() {
    let line = "--check=login,write --check primary --wait 2m --output=json --password-file f";
    let options = parse(line).unwrap();
    assert_eq!(options.checks, [Check::Login, Check::Write, Check::Primary]);
    assert_eq!(options.wait_limit, Some(Duration::from_secs(120)));
    assert_eq!(options.output, OutputFormat::Json);
    assert_eq!(options.password_file.as_deref(), Some("f"));
    assert!(options.uses_extended_options());
    assert!(!parse("-h x").unwrap().uses_extended_options());
}

#[test]
fn extended_options_of_pg_isready_are_rejected() {
    for name in EXTENDED_OPTIONS {
        let arguments = ["pg_isready", &format!("--{name}=login")].map(OsString::from);
        let parsed = Options::parse(arguments.to_vec(), OptionSet::PgIsready);
        assert!(parsed.is_err(), "{name}");
    }
}

#[test]
fn invalid_value_of_an_extended_option_is_rejected() {
    for (line, message) in [
        ("--check=x", "--check: unknown check \"x\""),
        (
            "--check=primary,standby",
            "--check: checks primary and standby exclude each other",
        ),
        ("--wait=soon", "--wait: invalid duration \"soon\""),
        ("--output=xml", "--output: invalid format \"xml\""),
        ("-q --", "no command after --"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn command_follows_two_dashes() {
    for (line, command) in [
        ("-q -- echo -h x", vec!["echo", "-h", "x"]),
        ("-- exec echo", vec!["echo"]),
        ("-- exec", vec!["exec"]),
    ] {
        assert_eq!(parse(line).unwrap().command, command, "{line}");
    }
}
