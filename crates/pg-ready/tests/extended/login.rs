//! Login: its failures, and the sources of the password.

use super::checks::APP;
use super::*;

#[test]
fn login_failures_have_different_states() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    let server = start_with_password(&bin);
    let password = ("PGPASSWORD", "s3cret");
    for (line, environment, expected) in [
        ("--check=login", vec![password], "accepting"),
        ("--check=login", vec![], "bad_password"),
        (
            "--check=login",
            vec![("PGPASSWORD", "wrong")],
            "bad_password",
        ),
        (
            "--check=login -d missing",
            vec![password],
            "no_such_database",
        ),
        ("--check=login -U missing", vec![password], "bad_password"),
        ("--check=login -h {dir} -U missing", vec![], "no_such_role"),
        ("--check=login -h {dir} -U closed", vec![], "not_permitted"),
        (
            "--check=login -h no-such-host.invalid",
            vec![],
            "dns_failure",
        ),
        ("--check=login -p 1", vec![], "refused"),
        ("--check=login -h /missing", vec![], "refused"),
        // Without a check the state is that of pg_isready: the server is up.
        ("-d missing", vec![], "accepting"),
        ("-h no-such-host.invalid", vec![], "dns_failure"),
        (
            "-t 500ms -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![],
            "accepting",
        ),
        (
            "--check=login -h 127.0.0.1,127.0.0.1 -p 1,{port}",
            vec![password],
            "accepting",
        ),
    ] {
        let output = pg_ready(&server, &format!("{APP} {line}"), &[], &environment);
        assert_eq!(state(&output), expected, "{line} {environment:?}");
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}

#[test]
fn password_is_read_from_every_source() {
    let Some(bin) = test_support::postgres::programs() else {
        return;
    };
    use std::os::unix::fs::PermissionsExt as _;
    let server = start_with_password(&bin);
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let pgpass = file(".pgpass", "127.0.0.1:*:postgres:app:s3cret\n", 0o600);
    let open = file("open", "*:*:*:*:s3cret\n", 0o644);
    let secret = file("secret", "s3cret\n", 0o644);
    let service = file(
        "services",
        "[shop]\nhost=127.0.0.1\nuser=app\npassword=s3cret\n",
        0o600,
    );
    let home = home.path().display().to_string();
    let from_secret = format!("--password-file={secret}");
    let uri = format!("postgres://app:s3cret@127.0.0.1:{}/postgres", server.port);
    for (line, more, environment, expected) in [
        (APP, vec![], vec![("HOME", home.as_str())], "accepting"),
        (
            APP,
            vec![],
            vec![("PGPASSFILE", pgpass.as_str())],
            "accepting",
        ),
        (
            APP,
            vec![],
            vec![("PGPASSFILE", open.as_str())],
            "bad_password",
        ),
        // A file that is ignored has no effect where no password is needed.
        (
            "-h {dir} -p {port} -U app -d postgres --output=json",
            vec![],
            vec![("PGPASSFILE", open.as_str())],
            "accepting",
        ),
        (APP, vec![from_secret.as_str()], vec![], "accepting"),
        (APP, vec!["--password-file=/missing"], vec![], "no_attempt"),
        ("--output=json -d", vec![uri.as_str()], vec![], "accepting"),
        (
            "--output=json -p {port} -d postgres",
            vec![],
            vec![("PGSERVICE", "shop"), ("PGSERVICEFILE", service.as_str())],
            "accepting",
        ),
        (
            "--output=json -p {port}",
            vec![],
            vec![("PGSERVICE", "missing")],
            "no_attempt",
        ),
    ] {
        let mut more = more;
        more.push("--check=login");
        let output = pg_ready(&server, line, &more, &environment);
        assert_eq!(
            state(&output),
            expected,
            "{line} {more:?} {environment:?} {}",
            text(&output.stderr)
        );
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert!(!printed.contains("s3cret"), "{printed}");
    }
}
