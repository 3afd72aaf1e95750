use super::*;

#[test]
fn check_list_is_parsed() {
    let query = |sql: &str| Check::Query(sql.to_owned());
    for (text, expected) in [
        ("login", vec![Check::Login]),
        ("write", vec![Check::Write]),
        ("primary", vec![Check::Primary]),
        ("standby", vec![Check::Standby]),
        ("lag=2", vec![Check::Lag(Duration::from_secs(2))]),
        ("query=SELECT a = b", vec![query("SELECT a = b")]),
        (
            "login,  lag=500ms,schema=7,query=SELECT 1, 2",
            vec![
                Check::Login,
                Check::Lag(Duration::from_millis(500)),
                Check::Schema("7".to_owned()),
                query("SELECT 1, 2"),
            ],
        ),
    ] {
        assert_eq!(parse_list(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn check_list_with_invalid_check_is_rejected() {
    for (text, message) in [
        ("", "unknown check \"\""),
        ("logn", "unknown check \"logn\""),
        ("login,", "unknown check \"\""),
        ("login=yes", "unknown check \"login=yes\""),
        ("query= ", "check query=\"\": requires an SQL statement"),
        ("lag=fast", "check lag=\"fast\": requires a duration"),
        ("schema=", "check schema=\"\": requires a version"),
    ] {
        let error = parse_list(text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn checks_primary_and_standby_together_are_rejected() {
    let both = [Check::Primary, Check::Login, Check::Standby];
    assert_eq!(validate(&both), Err(CheckError::Contradiction));
    assert_eq!(validate(&both[..2]), Ok(()));
}

#[test]
fn displayed_query_omits_its_statement() {
    assert_eq!(
        Check::Query("SELECT 'secret'".to_owned()).to_string(),
        "query"
    );
}
