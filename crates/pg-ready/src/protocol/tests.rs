use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn error(sqlstate: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0C{sqlstate}\0Mno\0\0").as_bytes())
}

#[track_caller]
fn assert_reply(bytes: &[u8], expected: StartupReply) {
    assert_eq!(parse_startup_reply(bytes), expected, "{bytes:?}");
}

#[test]
fn startup_reply_authentication_request_is_accepting() {
    for method in [0_i32, 3, 5, 10] {
        assert_reply(
            &message(b'R', &method.to_be_bytes()),
            StartupReply::Accepting,
        );
    }
}

#[test]
fn startup_reply_error_is_classified_by_sqlstate() {
    for (sqlstate, expected) in [
        ("57P03", StartupReply::Rejecting),
        ("28000", StartupReply::Accepting),
        ("3D000", StartupReply::Accepting),
        ("53300", StartupReply::Accepting),
        ("57P01", StartupReply::Accepting),
        ("57P0", StartupReply::NotPostgres),
        ("57P034", StartupReply::NotPostgres),
    ] {
        assert_reply(&error(sqlstate), expected);
    }
    assert_reply(
        &message(b'E', b"SFATAL\0Mno\0\0"),
        StartupReply::NotPostgres,
    );
}

#[test]
fn startup_reply_prefix_is_incomplete() {
    for whole in [error("57P03"), message(b'R', &[0; 4])] {
        for length in 0..whole.len() {
            assert_reply(&whole[..length], StartupReply::Incomplete);
        }
    }
}

#[test]
fn startup_reply_length_outside_libpq_limits_is_not_postgres() {
    for (kind, length, expected) in [
        (b'R', 7, StartupReply::NotPostgres),
        (b'R', 8, StartupReply::Incomplete),
        (b'R', 2_000, StartupReply::Incomplete),
        (b'R', 2_001, StartupReply::NotPostgres),
        (b'E', 7, StartupReply::NotPostgres),
        (b'E', 30_000, StartupReply::Incomplete),
        (b'E', 30_001, StartupReply::NotPostgres),
        (b'E', -1, StartupReply::NotPostgres),
        (b'E', i32::MAX, StartupReply::NotPostgres),
    ] {
        let bytes = [&[kind][..], &i32::to_be_bytes(length)].concat();
        assert_reply(&bytes, expected);
    }
}

#[test]
fn startup_reply_other_message_type_is_not_postgres() {
    for kind in [b'N', b'S', b'H', 0, 255] {
        assert_reply(&[kind], StartupReply::NotPostgres);
    }
}

#[test]
fn startup_reply_after_version_negotiation_is_parsed() {
    let negotiation = message(b'v', &[0; 8]);
    assert_reply(
        &[negotiation.clone(), error("57P03")].concat(),
        StartupReply::Rejecting,
    );
    assert_reply(&negotiation, StartupReply::Incomplete);
}

#[test]
fn startup_packet_contains_length_version_and_names() {
    let packet = encode_startup_packet("amy", "shop", "");
    assert_eq!(packet, b"\0\0\0\x20\0\x03\0\0user\0amy\0database\0shop\0\0");
}

#[test]
fn ssl_request_and_replies_match_the_manual() {
    let code: i32 = (1234 << 16) | 5679;
    assert_eq!(
        SSL_REQUEST,
        *[8_i32.to_be_bytes(), code.to_be_bytes()].as_flattened()
    );
    assert_eq!(
        [b'S', b'N', b'E'].map(parse_ssl_reply),
        [Some(SslReply::Accepted), Some(SslReply::Rejected), None]
    );
}
