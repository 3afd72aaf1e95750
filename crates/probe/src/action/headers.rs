//! Header names as Go writes them.

/// The headers with canonical names, in order.
pub fn canonical<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    headers
        .map(|(name, value)| (canonical_name(name), value.to_owned()))
        .collect()
}

/// Upper case at the start and after each hyphen, lower case elsewhere. A name that is no token stays as it is.
#[must_use]
pub fn canonical_name(name: &str) -> String {
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
    fn words_between_hyphens_begin_in_upper_case() {
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
    fn repeated_names_stay_repeated_in_order() {
        let given = [("a", "1"), ("A", "2")];
        assert_eq!(
            canonical(given.into_iter()),
            [
                ("A".to_owned(), "1".to_owned()),
                ("A".to_owned(), "2".to_owned())
            ]
        );
    }
}
