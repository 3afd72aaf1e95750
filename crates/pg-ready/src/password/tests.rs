use std::io::Write as _;

use super::*;

fn temp_file(text: &str, mode: u32) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
fn pgpass_first_matching_line_has_the_password() {
    let text = "# a comment\n\
        short:line\n\
        db:5432:shop:alice:one\n\
        db:*:*:alice:two:with:colons\n\
        d\\:b:1:x\\\\y:bob:thr\\:ee\n\
        *:*:*:*:any\n";
    let file = temp_file(text, 0o600);
    let passwords = Passwords::from_pgpass_file(file.path()).unwrap();
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
fn single_password_is_used_for_every_server() {
    let single = Passwords::from_password("secret".to_owned());
    assert_eq!(single.find("db", 1, "x", "y"), Some("secret"));
    assert_eq!(Passwords::default().find("db", 1, "x", "y"), None);
}

#[test]
fn secret_file_is_read_up_to_the_first_line_with_any_permissions() {
    let file = temp_file("s3cret\n", 0o644);
    let passwords = Passwords::from_secret_file(file.path()).unwrap();
    assert_eq!(passwords.find("db", 1, "x", "y"), Some("s3cret"));
    let error = Passwords::from_secret_file(Path::new("/missing/password")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("could not read password file /missing/password: ")
    );
}

#[test]
fn pgpass_file_accessible_to_others_is_ignored_with_a_warning() {
    for mode in [0o640, 0o604, 0o660] {
        let file = temp_file("*:*:*:*:x\n", mode);
        let passwords = Passwords::from_pgpass_file(file.path()).unwrap();
        assert_eq!(passwords.find("db", 1, "x", "y"), None);
        assert!(passwords.warning().unwrap().contains("is ignored"));
    }
}

#[test]
fn pgpass_file_that_is_missing_has_no_passwords() {
    let none = Passwords::from_pgpass_file(Path::new("/missing/.pgpass")).unwrap();
    assert_eq!(none.find("db", 1, "x", "y"), None);
}

#[test]
fn debug_output_omits_passwords() {
    let file = temp_file("*:*:*:*:hidden\n", 0o600);
    let passwords = [
        Passwords::from_pgpass_file(file.path()).unwrap(),
        Passwords::from_password("hidden".to_owned()),
    ];
    assert!(!format!("{passwords:?}").contains("hidden"));
}
