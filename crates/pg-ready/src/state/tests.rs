use std::collections::HashSet;

use super::*;

#[test]
fn state_names_are_unique() {
    let names: HashSet<_> = State::ALL.iter().map(|state| state.as_str()).collect();
    assert_eq!(names.len(), State::ALL.len());
}

#[test]
fn server_error_is_classified() {
    for (code, message, routine, state) in [
        (
            "57P03",
            "the database system is starting up",
            "",
            State::Starting,
        ),
        (
            "57P03",
            "the database system is shutting down",
            "",
            State::ShuttingDown,
        ),
        (
            "57P03",
            "the database system is in recovery mode",
            "",
            State::Recovery,
        ),
        (
            "57P03",
            "the database system is not yet accepting connections",
            "",
            State::Recovery,
        ),
        (
            "57P03",
            "the database system is not accepting connections",
            "",
            State::Recovery,
        ),
        ("57P03", "das Datenbanksystem startet", "", State::Rejecting),
        (
            "08P01",
            "no more connections allowed (max_client_conn)",
            "",
            State::TooManyConnections,
        ),
        (
            "08P01",
            "database does not allow connections: x",
            "",
            State::NotPermitted,
        ),
        ("08P01", "no such user: x", "", State::BadPassword),
        (
            "57P01",
            "terminating connection due to administrator command",
            "",
            State::ShuttingDown,
        ),
        (
            "53300",
            "sorry, too many clients already",
            "",
            State::TooManyConnections,
        ),
        (
            "28P01",
            "password authentication failed for user \"x\"",
            "",
            State::BadPassword,
        ),
        ("28000", "role \"x\" does not exist", "", State::NoSuchRole),
        (
            "28000",
            "Rolle »x« existiert nicht",
            "InitializeSessionUserId",
            State::NoSuchRole,
        ),
        (
            "28000",
            "role \"x\" is not permitted to log in",
            "InitializeSessionUserId",
            State::NotPermitted,
        ),
        (
            "28000",
            "no pg_hba.conf entry for host \"::1\"",
            "ClientAuthentication",
            State::NotPermitted,
        ),
        (
            "28000",
            "kein pg_hba.conf-Eintrag",
            "ClientAuthentication",
            State::NotPermitted,
        ),
        (
            "42501",
            "permission denied for database \"x\"",
            "",
            State::NotPermitted,
        ),
        (
            "3D000",
            "database \"x\" does not exist",
            "",
            State::NoSuchDatabase,
        ),
        (
            "25006",
            "cannot execute INSERT in a read-only transaction",
            "",
            State::ReadOnly,
        ),
        (
            "42P01",
            "relation \"x\" does not exist",
            "",
            State::QueryFailed,
        ),
    ] {
        let error = ServerError {
            code: code.to_owned(),
            message: message.to_owned(),
            routine: routine.to_owned(),
        };
        assert_eq!(State::from_server_error(&error), state, "{message}");
    }
}

#[test]
fn state_has_the_exit_code_of_its_ping_status() {
    for &state in State::ALL {
        let expected = match state {
            State::Accepting => 0,
            State::NoAttempt => 3,
            State::TlsFailed
            | State::DnsFailure
            | State::InvalidServer
            | State::Refused
            | State::Unreachable
            | State::Timeout
            | State::Closed
            | State::Protocol => 2,
            _ => 1,
        };
        assert_eq!(state.ping_status().exit_code(), expected, "{state}");
    }
}
