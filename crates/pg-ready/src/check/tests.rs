use super::*;

#[test]
fn a_list_is_read_and_a_statement_keeps_its_commas() {
    let (ms, list) = (
        Duration::from_millis(500),
        "login,  lag=500ms,schema=7,query=SELECT 1, 2",
    );
    let expected = [
        Check::Login,
        Check::Lag(ms),
        Check::Schema(7),
        Check::Query("SELECT 1, 2".to_owned()),
    ];
    assert_eq!(parse_list(list).unwrap(), expected);
    for (text, check) in [
        ("write", Check::Write),
        ("primary", Check::Primary),
        ("standby", Check::Standby),
        ("lag=2", Check::Lag(Duration::from_secs(2))),
        (
            "query=SELECT a = b",
            Check::Query("SELECT a = b".to_owned()),
        ),
    ] {
        assert_eq!(parse_list(text).unwrap(), [check]);
    }
}

#[test]
fn what_makes_no_sense_is_named() {
    for (text, words) in [
        ("", "unknown check \"\""),
        ("logn", "unknown check \"logn\""),
        ("login,", "unknown check \"\""),
        ("login=yes", "unknown check \"login=yes\""),
        ("query= ", "check query=\"\": needs a statement"),
        ("lag=fast", "check lag=\"fast\": needs a duration"),
        ("schema=new", "check schema=\"new\": needs a whole number"),
    ] {
        let error = parse_list(text).unwrap_err().to_string();
        assert!(error.starts_with(words), "{text}: {error}");
    }
}

#[test]
fn nothing_is_both_primary_and_standby() {
    let both = [Check::Primary, Check::Login, Check::Standby];
    assert_eq!(validate(&both), Err(CheckError::Contradiction));
    assert_eq!(validate(&both[..2]), Ok(()));
}

#[test]
fn a_statement_is_not_repeated_to_whoever_reads_the_report() {
    assert_eq!(
        Check::Query("SELECT 'secret'".to_owned()).to_string(),
        "query"
    );
}
