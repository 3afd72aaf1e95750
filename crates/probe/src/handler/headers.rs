//! Header names in Go's canonical form.

/// Returns the headers with canonical names, in the same order.
pub(crate) fn canonicalize<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
) -> Vec<(String, String)> {
    headers
        .map(|(name, value)| (canonical_name(name), value.to_owned()))
        .collect()
}

/// Converts the first letter and each letter after a hyphen to upper case, others to lower case. A name that is not a token
/// is unchanged.
fn canonical_name(name: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut upper = true;
    let letters = name.chars().map(|letter| {
        let written = if upper {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        };
        upper = letter == '-';
        written
    });
    letters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_name_is_converted_to_its_canonical_form() {
        for (name, expected) in [
            ("accept", "Accept"),
            ("X-forwarded-FOR", "X-Forwarded-For"),
            ("a--b", "A--B"),
            ("", ""),
            ("no token", "no token"),
            ("ünï", "ünï"),
        ] {
            assert_eq!(canonical_name(name), expected);
        }
    }

    #[test]
    fn repeated_headers_are_kept_in_order() {
        let headers = [("a", "1"), ("A", "2")];
        assert_eq!(
            canonicalize(headers.into_iter()),
            [
                ("A".to_owned(), "1".to_owned()),
                ("A".to_owned(), "2".to_owned())
            ]
        );
    }
}
