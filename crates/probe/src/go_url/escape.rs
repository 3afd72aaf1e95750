//! Percent-encoding as Go's `net/url` does it.

use std::fmt::Write as _;

/// Returns `true` if each `%` starts an escape of two hexadecimal digits.
pub(super) fn escapes_are_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    };
    (0..bytes.len()).all(|at| bytes[at] != b'%' || is_escape(at))
}

/// Returns Go's error text for the first invalid escape of `text`.
pub(super) fn check_escapes(text: &str) -> Result<(), String> {
    if escapes_are_valid(text) {
        return Ok(());
    }
    let at = text
        .match_indices('%')
        .map(|(at, _)| at)
        .find(|at| !escapes_are_valid(text.get(*at..*at + 3).unwrap_or("%")));
    Err(invalid_escape(text, at.unwrap_or_default()))
}

/// Returns Go's error text for the escape at byte `at` of `text`.
pub(super) fn invalid_escape(text: &str, at: usize) -> String {
    let escape: String = text[at..].chars().take(3).collect();
    format!("invalid URL escape {escape:?}")
}

/// Escapes a path whose escapes are valid, as `EscapedPath` does: a path that is already encoded is unchanged.
pub(super) fn go_escape_path(path: &str) -> String {
    let is_encoded = path
        .bytes()
        .all(|byte| is_path_byte(byte) || b"!'()*[]%".contains(&byte));
    if is_encoded {
        path.to_owned()
    } else {
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
        escape_unless(&decoded, is_path_byte)
    }
}

/// Escapes a path that is not encoded: its `%` characters are data.
pub(super) fn escape_raw_path(path: &str) -> String {
    escape_unless(path.as_bytes(), is_path_byte)
}

pub(super) fn escape_host(host: &str) -> String {
    escape_unless(host.as_bytes(), |byte| {
        byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
    })
}

/// Returns `true` for the characters that Go does not escape in a path.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

fn escape_unless(bytes: &[u8], is_unescaped: impl Fn(u8) -> bool) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for byte in bytes {
        if is_unescaped(*byte) {
            escaped.push(char::from(*byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    escaped
}
