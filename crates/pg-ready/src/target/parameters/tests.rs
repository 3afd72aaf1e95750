use super::*;

fn settings(pairs: &[(&'static str, &str)]) -> Settings {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[test]
fn keepalives_outside_the_limits_of_linux_are_invalid() {
    for (pairs, valid) in [
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
        assert_eq!(has_valid_keepalives(&settings(pairs)), valid, "{pairs:?}");
    }
}

#[test]
fn tls_version_range_is_checked() {
    let invalid = |setting, value: &str| PlanError::Value {
        setting,
        value: value.to_owned(),
    };
    for (min, max, expected) in [
        (None, None, Ok(())),
        // The default minimum is TLSv1.2.
        (None, Some("TLSv1.2"), Ok(())),
        (None, Some("TLSv1.1"), Err(PlanError::TlsVersions)),
        (Some(""), Some("TLSv1"), Ok(())),
        (Some("tlsv1.1"), Some("TLSv1.1"), Ok(())),
        (
            Some("TLSv1.3"),
            Some("TLSv1.2"),
            Err(PlanError::TlsVersions),
        ),
        (
            Some("TLSv2"),
            None,
            Err(invalid("ssl_min_protocol_version", "TLSv2")),
        ),
        (
            None,
            Some("1.3"),
            Err(invalid("ssl_max_protocol_version", "1.3")),
        ),
    ] {
        let pairs = [
            ("ssl_min_protocol_version", min),
            ("ssl_max_protocol_version", max),
        ];
        let pairs = pairs.into_iter();
        let settings = pairs.filter_map(|(name, value)| Some((name, value?.to_owned())));
        let found = check_tls_versions(&settings.collect());
        assert_eq!(found, expected, "{min:?} {max:?}");
    }
}
