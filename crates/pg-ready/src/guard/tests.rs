use proptest::prelude::*;

use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = i32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

fn challenge(iterations: &str) -> Vec<u8> {
    let text = format!("r=abc,s=c2FsdA==,i={iterations}");
    message(b'R', &[SASL_CONTINUE.as_slice(), text.as_bytes()].concat())
}

#[test]
fn what_goes_too_far_is_refused() {
    let many = message(b'S', b"a\0b\0").repeat(MAX_MESSAGES + 1);
    let long = message(b'D', &[0; MAX_ERROR - 4]).repeat(2);
    for (bytes, error) in [
        (
            b"E\x7f\xff\xff\xff".to_vec(),
            TooMuch::Length(b'E', i32::MAX),
        ),
        (b"E\xff\xff\xff\xff".to_vec(), TooMuch::Length(b'E', -1)),
        (b"E\0\0\0\x03".to_vec(), TooMuch::Length(b'E', 3)),
        (b"R\0\0\x07\xd1".to_vec(), TooMuch::Length(b'R', 2001)),
        (many, TooMuch::Messages),
        (long, TooMuch::Total),
        (challenge("200001"), TooMuch::Iterations(200_001)),
        (challenge("4294967296"), TooMuch::Iterations(u32::MAX)),
    ] {
        assert_eq!(Frames::default().accept(&bytes), Err(error));
    }
}

#[test]
fn what_a_login_needs_passes() {
    for bytes in [
        message(b'Z', b"I"),
        message(b'1', b""),
        message(b'E', &[1; MAX_ERROR - 4]),
        message(b'S', b"a\0b\0").repeat(MAX_MESSAGES),
        message(b'D', b"row").repeat(MAX_MESSAGES + 1),
        challenge("4096"),
        challenge("200000"),
    ] {
        assert_eq!(Frames::default().accept(&bytes), Ok(()));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_judged_alike_however_they_are_divided(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            prop::collection::vec(("[RESTZDv]", prop::collection::vec(any::<u8>(), 0..40)), 0..20)
                .prop_map(|list| list.iter().flat_map(|(kind, body)| message(kind.as_bytes()[0], body)).collect()),
        ],
        size in 1_usize..9,
    ) {
        let whole = Frames::default().accept(&bytes);
        let mut frames = Frames::default();
        let parts = bytes.chunks(size).try_for_each(|part| frames.accept(part));
        prop_assert_eq!(whole, parts);
    }
}
