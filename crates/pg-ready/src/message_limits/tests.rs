use proptest::prelude::*;

use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

fn scram_challenge(iterations: &str) -> Vec<u8> {
    let text = format!("r=abc,s=c2FsdA==,i={iterations}");
    message(b'R', &[SASL_CONTINUE.as_slice(), text.as_bytes()].concat())
}

#[test]
fn messages_above_a_limit_are_rejected() {
    let many = message(b'S', b"a\0b\0").repeat(MAX_SESSION_MESSAGES + 1);
    let long = message(b'S', &[0; MAX_ERROR_LEN - 4]).repeat(2);
    for (bytes, error) in [
        (
            b"E\x7f\xff\xff\xff".to_vec(),
            LimitExceeded::MessageLength(b'E', i32::MAX),
        ),
        (
            b"E\xff\xff\xff\xff".to_vec(),
            LimitExceeded::MessageLength(b'E', -1),
        ),
        (
            b"E\0\0\0\x03".to_vec(),
            LimitExceeded::MessageLength(b'E', 3),
        ),
        (
            b"R\0\0\x07\xd1".to_vec(),
            LimitExceeded::MessageLength(b'R', 2001),
        ),
        (many, LimitExceeded::SessionMessages),
        (long, LimitExceeded::SessionBytes),
        (
            scram_challenge("200001"),
            LimitExceeded::ScramIterations(200_001),
        ),
        (
            scram_challenge("4294967296"),
            LimitExceeded::ScramIterations(u32::MAX),
        ),
    ] {
        assert_eq!(MessageLimits::default().check(&bytes), Err(error));
    }
}

#[test]
fn messages_within_the_limits_are_accepted() {
    for bytes in [
        message(b'Z', b"I"),
        message(b'1', b""),
        message(b'E', &[1; MAX_ERROR_LEN - 4]),
        message(b'S', b"a\0b\0").repeat(MAX_SESSION_MESSAGES),
        message(b'D', b"row").repeat(MAX_SESSION_MESSAGES + 1),
        message(b'D', &[0; MAX_ERROR_LEN - 4]).repeat(2),
        scram_challenge("4096"),
        scram_challenge("200000"),
    ] {
        assert_eq!(MessageLimits::default().check(&bytes), Ok(()));
    }
}

proptest! {
    #[test]
    fn result_does_not_depend_on_fragmentation(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(("[RESTZDv]", prop::collection::vec(any::<u8>(), 0..40)), 0..20)
                .prop_map(|list| list.iter().flat_map(|(kind, body)| message(kind.as_bytes()[0], body)).collect()),
        ],
        fragment_len in 1_usize..9,
    ) {
        let whole = MessageLimits::default().check(&bytes);
        let mut limits = MessageLimits::default();
        let fragments = bytes.chunks(fragment_len).try_for_each(|fragment| limits.check(fragment));
        prop_assert_eq!(whole, fragments);
    }
}
