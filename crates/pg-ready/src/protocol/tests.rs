use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

fn error(state: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0C{state}\0Mno\0\0").as_bytes())
}

#[track_caller]
fn check(bytes: &[u8], expected: Answer) {
    assert_eq!(read_answer(bytes), expected, "{bytes:?}");
}

#[test]
fn any_authentication_request_means_up() {
    for method in [0_i32, 3, 5, 10] {
        check(&message(b'R', &method.to_be_bytes()), Answer::Up);
    }
}

#[test]
fn only_cannot_connect_now_means_rejecting() {
    check(&error("57P03"), Answer::Rejecting);
    for state in ["28000", "3D000", "53300", "57P01"] {
        check(&error(state), Answer::Up);
    }
}

#[test]
fn an_error_without_a_five_letter_state_is_foreign() {
    check(&error("57P0"), Answer::Foreign);
    check(&error("57P034"), Answer::Foreign);
    check(&message(b'E', b"SFATAL\0Mno\0\0"), Answer::Foreign);
}

#[test]
fn every_prefix_of_an_answer_is_incomplete() {
    for whole in [error("57P03"), message(b'R', &[0; 4])] {
        for length in 0..whole.len() {
            check(&whole[..length], Answer::Incomplete);
        }
    }
}

#[test]
fn lengths_outside_libpqs_limits_are_foreign() {
    for (kind, length, expected) in [
        (b'R', 7, Answer::Foreign),
        (b'R', 8, Answer::Incomplete),
        (b'R', 2_000, Answer::Incomplete),
        (b'R', 2_001, Answer::Foreign),
        (b'E', 7, Answer::Foreign),
        (b'E', 30_000, Answer::Incomplete),
        (b'E', 30_001, Answer::Foreign),
        (b'E', -1, Answer::Foreign),
        (b'E', i32::MAX, Answer::Foreign),
    ] {
        let bytes = [&[kind][..], &i32::to_be_bytes(length)].concat();
        check(&bytes, expected);
    }
}

#[test]
fn a_notice_or_anything_else_first_is_foreign() {
    for kind in [b'N', b'S', b'H', 0, 255] {
        check(&[kind], Answer::Foreign);
    }
}

#[test]
fn the_answer_after_a_version_negotiation_counts() {
    let negotiation = message(b'v', &[0; 8]);
    check(
        &[negotiation.clone(), error("57P03")].concat(),
        Answer::Rejecting,
    );
    check(&negotiation, Answer::Incomplete);
}

#[test]
fn the_startup_packet_carries_its_length_version_and_names() {
    let packet = startup_packet("amy", "shop", "");
    assert_eq!(packet, b"\0\0\0\x20\0\x03\0\0user\0amy\0database\0shop\0\0");
}

#[test]
fn the_request_for_tls_is_the_manuals() {
    assert_eq!(ssl_request(), [0, 0, 0, 8, 4, 210, 22, 47]);
    assert_eq!(
        [b'S', b'N', b'E'].map(offers_tls),
        [Some(true), Some(false), None]
    );
}
