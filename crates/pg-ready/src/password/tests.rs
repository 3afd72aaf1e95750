use std::io::Write as _;

use super::*;

fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
fn the_first_line_that_fits_has_the_password() {
    let text = "# a comment\n\
        short:line\n\
        db:5432:shop:alice:one\n\
        db:*:*:alice:two:with:colons\n\
        d\\:b:1:x\\\\y:bob:thr\\:ee\n\
        *:*:*:*:any\n";
    let file = file(text, 0o600);
    let passwords = Passwords::from_pgpass(file.path()).unwrap();
    for (host, port, database, user, password) in [
        ("db", 5432, "shop", "alice", "one"),
        ("db", 5433, "shop", "alice", "two:with:colons"),
        ("d:b", 1, "x\\y", "bob", "thr:ee"),
        ("other", 1, "x", "carol", "any"),
    ] {
        assert_eq!(passwords.find(host, port, database, user), Some(password));
    }
}

#[test]
fn a_password_that_is_given_comes_first() {
    let given = Passwords::given("given".to_owned());
    assert_eq!(given.find("db", 1, "x", "y"), Some("given"));
    assert_eq!(Passwords::default().find("db", 1, "x", "y"), None);
}

#[test]
fn a_mounted_secret_is_its_first_line_whoever_may_read_it() {
    let file = file("s3cret\n", 0o644);
    let passwords = Passwords::from_secret(file.path()).unwrap();
    assert_eq!(passwords.find("db", 1, "x", "y"), Some("s3cret"));
    let error = Passwords::from_secret(Path::new("/nowhere/password")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("could not read password file /nowhere/password: ")
    );
}

#[test]
fn a_password_file_that_others_could_read_is_refused_and_a_missing_one_is_none() {
    for mode in [0o640, 0o604, 0o660] {
        let file = file("*:*:*:*:x\n", mode);
        assert!(matches!(
            Passwords::from_pgpass(file.path()),
            Err(PasswordError::TooOpen(_))
        ));
    }
    let none = Passwords::from_pgpass(Path::new("/nowhere/.pgpass")).unwrap();
    assert_eq!(none.find("db", 1, "x", "y"), None);
}

#[test]
fn nothing_that_is_printed_shows_a_password() {
    let file = file("*:*:*:*:hidden\n", 0o600);
    let passwords = [
        Passwords::from_pgpass(file.path()).unwrap(),
        Passwords::given("hidden".to_owned()),
    ];
    assert!(!format!("{passwords:?}").contains("hidden"));
}
