use super::*;

fn plan(settings: &[(&'static str, &str)]) -> Result<Plan, PlanError> {
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Plan::new(&settings, || Ok("amy".to_owned()))
}

fn name(host: &str, port: u16) -> Target {
    Target::Name(host.to_owned(), port)
}

fn socket(path: &str) -> Target {
    Target::Socket(path.into())
}

#[test]
fn targets_combine_hosts_addresses_and_ports() {
    for (settings, expected) in [
        (&[][..], vec![socket("/var/run/postgresql/.s.PGSQL.5432")]),
        (&[("host", "a")], vec![name("a", 5432)]),
        (
            &[("host", "a,b"), ("port", "1")],
            vec![name("a", 1), name("b", 1)],
        ),
        (
            &[("host", "a,b"), ("port", "1,")],
            vec![name("a", 1), name("b", 5432)],
        ),
        (
            &[("host", "/run,")],
            vec![
                socket("/run/.s.PGSQL.5432"),
                socket("/var/run/postgresql/.s.PGSQL.5432"),
            ],
        ),
        (
            &[("hostaddr", "::1"), ("host", "a")],
            vec![Target::Address(
                "::1".parse().unwrap(),
                5432,
                Some("a".to_owned()),
            )],
        ),
        (
            &[("hostaddr", "a")],
            vec![Target::Invalid {
                host: "a".to_owned(),
                port: 5432,
                reason: "invalid hostaddr \"a\"".to_owned(),
            }],
        ),
    ] {
        assert_eq!(plan(settings).unwrap().targets, expected, "{settings:?}");
    }
}

#[test]
fn port_outside_1_to_65535_is_invalid() {
    for (port, valid) in [
        ("1", true),
        ("65535", true),
        ("0", false),
        ("65536", false),
        ("-1", false),
        ("x", false),
    ] {
        let targets = plan(&[("host", "a"), ("port", port)]).unwrap().targets;
        assert_eq!(
            !matches!(targets[..], [Target::Invalid { .. }]),
            valid,
            "{port}"
        );
    }
}

#[test]
fn lists_of_different_lengths_are_rejected() {
    for settings in [
        [("host", "a,b"), ("port", "1,2,3")],
        [("host", "a"), ("port", "1,2")],
        [("host", "a,b"), ("hostaddr", "::1")],
    ] {
        assert!(
            matches!(plan(&settings), Err(PlanError::Mismatch { .. })),
            "{settings:?}"
        );
    }
}

#[test]
fn setting_with_unknown_choice_is_rejected() {
    assert!(matches!(
        plan(&[("sslmode", "maybe")]),
        Err(PlanError::Value {
            setting: "sslmode",
            ..
        })
    ));
}

#[test]
fn role_defaults_to_the_os_user_and_database_to_the_role() {
    let role_and_database = |settings: &[(&'static str, &str)]| {
        plan(settings)
            .map(|plan| (plan.user, plan.database))
            .unwrap()
    };
    assert_eq!(role_and_database(&[]), ("amy".to_owned(), "amy".to_owned()));
    assert_eq!(
        role_and_database(&[("user", "bo")]),
        ("bo".to_owned(), "bo".to_owned())
    );
    assert_eq!(
        role_and_database(&[("dbname", "d")]),
        ("amy".to_owned(), "d".to_owned())
    );
    let unknown = Plan::new(&Settings::new(), || Err(7));
    assert_eq!(unknown, Err(PlanError::UnknownUser(7)));
}
