//! Values formatted as by Go, for texts that equal the kubelet's.

use std::time::Duration;

/// Formats a duration: `1s`, `1.5s`, `1m0s`, `20ms`.
pub(crate) fn duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    for (unit, name) in [
        (Duration::from_micros(1), "ns"),
        (Duration::from_millis(1), "µs"),
        (Duration::from_secs(1), "ms"),
    ] {
        if duration < unit {
            let scale = unit.as_nanos() / 1000;
            return decimal(duration.as_nanos(), scale.max(1)) + name;
        }
    }
    let seconds = duration.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = decimal(
        u128::from(seconds % 60) * 1_000_000_000 + u128::from(duration.subsec_nanos()),
        1_000_000_000,
    );
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

/// Formats `nanos` in units of `scale`, without trailing zeros.
fn decimal(nanos: u128, scale: u128) -> String {
    let (whole, fraction) = (nanos / scale, nanos % scale);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = scale.ilog10() as usize;
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// Returns the text of a system call's error, in lower case.
pub(crate) fn os_error(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => nix::errno::Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// Quotes bytes as `%q` does.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push_letter(&mut quoted, letter);
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

fn push_letter(quoted: &mut String, letter: char) {
    match letter {
        '"' | '\\' => quoted.extend(['\\', letter]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        _ if letter.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", letter as u32)),
        _ if letter.is_control() => quoted.push_str(&format!("\\u{:04x}", letter as u32)),
        _ => quoted.push(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_formatted_in_its_largest_unit() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (20_000_000, "20ms"),
            (20_000_001, "20.000001ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (60_000_000_000, "1m0s"),
            (3_661_500_000_000, "1h1m1.5s"),
            (7_200_000_000_000, "2h0m0s"),
        ] {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn control_characters_and_invalid_utf8_are_escaped() {
        for (bytes, expected) in [
            (&b"garbage"[..], r#""garbage""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"\x16\x03\x01\n\t\x7f", r#""\x16\x03\x01\n\t\x7f""#),
            (b"\xff\xc3\xbc\xc2\x85", r#""\xffü\u0085""#),
        ] {
            assert_eq!(quote(bytes), expected);
        }
    }

    #[test]
    fn os_error_is_formatted_in_lower_case() {
        let refused = std::io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
        assert_eq!(os_error(&refused), "connection refused");
        assert_eq!(os_error(&std::io::Error::other("As it is")), "As it is");
    }
}
