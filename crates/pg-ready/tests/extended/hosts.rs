//! Selection among several servers.

use super::*;

#[test]
fn first_server_that_passes_the_checks_is_reported() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let standby = Server::start_as_standby(&bin);
    let primary = Server::start(&bin, "");
    let hosts = format!("{},{}", standby.dir().display(), primary.dir().display());
    let ports = format!("{},{}", standby.port, primary.port);
    let output = pg_ready(
        &standby,
        "-U postgres --output=json",
        &["-h", &hosts, "-p", &ports, "--check=primary"],
        &[],
    );
    assert_eq!(state(&output), "accepting");
    assert_eq!(json(&output)["server"]["port"], primary.port);
}

#[test]
fn target_session_attrs_decides_the_server_as_in_psql() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let standby = Server::start_as_standby(&bin);
    let primary = Server::start(&bin, "");
    let host = |server: &Server| (server.dir().display().to_string(), server.port.to_string());
    let ((standby_dir, standby_port), (primary_dir, primary_port)) =
        (host(&standby), host(&primary));
    let both = (
        format!("{standby_dir},{primary_dir}"),
        format!("{standby_port},{primary_port}"),
    );
    let reverse = (
        format!("{primary_dir},{standby_dir}"),
        format!("{primary_port},{standby_port}"),
    );
    let alone = (primary_dir, primary_port.clone());
    for ((hosts, ports), attributes, expected) in [
        (&both, "any", Some(&standby_port)),
        (&both, "primary", Some(&primary_port)),
        (&both, "read-write", Some(&primary_port)),
        (&reverse, "standby", Some(&standby_port)),
        (&reverse, "read-only", Some(&standby_port)),
        (&reverse, "prefer-standby", Some(&standby_port)),
        (&alone, "prefer-standby", Some(&primary_port)),
        (&alone, "standby", None),
        (&alone, "read-only", None),
        (&alone, "read-write", Some(&primary_port)),
    ] {
        let conninfo =
            format!("host={hosts} port={ports} user=postgres target_session_attrs={attributes}");
        let ours = pg_ready(
            &primary,
            "--output=json --check=login -d",
            &[&conninfo],
            &[],
        );
        assert_eq!(
            ours.status.success(),
            expected.is_some(),
            "{conninfo} {}",
            text(&ours.stdout)
        );
        let theirs = Command::new(bin.join("psql"))
            .args(["-XAtwc", "SELECT current_setting('port')", &conninfo])
            .env_clear()
            .output()
            .unwrap();
        let their_port = text(&theirs.stdout).trim().to_owned();
        assert_eq!(
            their_port,
            expected.cloned().unwrap_or_default(),
            "{conninfo}"
        );
        if let Some(port) = expected {
            assert_eq!(
                json(&ours)["server"]["port"].to_string(),
                *port,
                "{conninfo}"
            );
        }
    }
}
