use super::*;

fn settings(pairs: &[(&'static str, &str)]) -> Settings {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[test]
fn keepalives_are_usable_within_the_systems_limits() {
    for (pairs, usable) in [
        (&[][..], true),
        (&[("keepalives", "1")], true),
        (&[("keepalives", " 2 ")], true),
        (&[("keepalives", "")], false),
        (&[("keepalives", "x")], false),
        (&[("keepalives", "0"), ("keepalives_idle", "x")], true),
        (&[("keepalives", "1"), ("keepalives_idle", "x")], false),
        (&[("keepalives_idle", "0")], false),
        (&[("keepalives_idle", "1")], true),
        (&[("keepalives_idle", "32767")], true),
        (&[("keepalives_idle", "32768")], false),
        (&[("keepalives_interval", "32768")], false),
        (&[("keepalives_count", "127")], true),
        (&[("keepalives_count", "128")], false),
        (&[("tcp_user_timeout", "0")], true),
        (&[("tcp_user_timeout", "1s")], false),
    ] {
        assert_eq!(keepalive_is_usable(&settings(pairs)), usable, "{pairs:?}");
    }
}

#[test]
fn the_oldest_version_of_tls_is_1_2_unless_said_otherwise_and_never_above_the_newest() {
    let check = |oldest: Option<&str>, newest: Option<&str>| {
        let pairs = [
            ("ssl_min_protocol_version", oldest),
            ("ssl_max_protocol_version", newest),
        ];
        let pairs = pairs.into_iter();
        let settings = pairs.filter_map(|(name, value)| Some((name, value?.to_owned())));
        check_tls_versions(&settings.collect())
    };
    assert_eq!(check(None, None), Ok(()));
    assert_eq!(check(None, Some("TLSv1.2")), Ok(()));
    assert_eq!(check(None, Some("TLSv1.1")), Err(PlanError::TlsVersions));
    assert_eq!(check(Some(""), Some("TLSv1")), Ok(()));
    assert_eq!(check(Some("tlsv1.1"), Some("TLSv1.1")), Ok(()));
    assert_eq!(
        check(Some("TLSv1.3"), Some("TLSv1.2")),
        Err(PlanError::TlsVersions)
    );
    for (oldest, newest, setting) in [
        (Some("TLSv2"), None, "ssl_min_protocol_version"),
        (None, Some("1.3"), "ssl_max_protocol_version"),
    ] {
        let found = check(oldest, newest);
        assert!(
            matches!(found, Err(PlanError::Value { setting: wrong, .. }) if wrong == setting),
            "{found:?}"
        );
    }
}
