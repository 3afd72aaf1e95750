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
fn hosts_addresses_and_ports_go_together() {
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
        (&[("hostaddr", "a")], vec![Target::Unusable]),
    ] {
        assert_eq!(plan(settings).unwrap().targets, expected, "{settings:?}");
    }
}

#[test]
fn a_port_is_a_number_from_1_to_65535() {
    for (port, usable) in [
        ("1", true),
        ("65535", true),
        ("0", false),
        ("65536", false),
        ("-1", false),
        ("x", false),
    ] {
        let targets = plan(&[("host", "a"), ("port", port)]).unwrap().targets;
        assert_eq!(targets != [Target::Unusable], usable, "{port}");
    }
}

#[test]
fn lists_of_different_lengths_are_no_attempt() {
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
fn settings_with_a_fixed_set_of_values_take_no_other() {
    assert!(matches!(
        plan(&[("sslmode", "maybe")]),
        Err(PlanError::Value {
            setting: "sslmode",
            ..
        })
    ));
    assert!(plan(&[("sslmode", "verify-full")]).unwrap().needs_tls);
    assert!(!plan(&[("sslmode", "prefer")]).unwrap().needs_tls);
}

#[test]
fn the_role_is_the_operating_systems_user_and_the_database_is_the_roles() {
    let plan_of = |settings: &[(&'static str, &str)]| {
        plan(settings)
            .map(|plan| (plan.user, plan.database))
            .unwrap()
    };
    assert_eq!(plan_of(&[]), ("amy".to_owned(), "amy".to_owned()));
    assert_eq!(
        plan_of(&[("user", "bo")]),
        ("bo".to_owned(), "bo".to_owned())
    );
    assert_eq!(
        plan_of(&[("dbname", "d")]),
        ("amy".to_owned(), "d".to_owned())
    );
    let nobody = Plan::new(&Settings::new(), || Err(7));
    assert_eq!(nobody, Err(PlanError::NoUser(7)));
}
