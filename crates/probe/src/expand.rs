//! Expansion of `$(VAR)` in commands, arguments and environment values.

/// Replaces each `$(NAME)` by the value that `lookup` returns, or leaves it unchanged if that is `None`. `$$` yields a
/// dollar sign.
#[must_use]
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = match after.as_bytes().first() {
            Some(b'$') => {
                out.push('$');
                &after[1..]
            }
            Some(b'(') => match after.find(')') {
                Some(end) => {
                    let name = &after[1..end];
                    match lookup(name) {
                        Some(value) => out.push_str(&value),
                        None => out.push_str(&rest[at..=at + 1 + end]),
                    }
                    &after[end + 1..]
                }
                None => {
                    out.push_str("$(");
                    &after[1..]
                }
            },
            _ => {
                out.push('$');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::expand;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let lookup = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$(A)".to_owned()),
            _ => None,
        };
        assert_eq!(expand(text, lookup), expected, "{text}");
    }

    #[test]
    fn known_names_are_replaced_and_other_text_is_unchanged() {
        check("", "");
        check("plain", "plain");
        check("$(A)", "1");
        check("x$(A)y$(A)z", "x1y1z");
        check("$(EMPTY)|", "|");
        check("$(MISSING)", "$(MISSING)");
        check("a$(MISSING)$(A)", "a$(MISSING)1");
        check("$A", "$A");
        check("$", "$");
        check("end$", "end$");
        check("$(A", "$(A");
        check("$()", "$()");
    }

    #[test]
    fn two_dollars_yield_one_and_escape_a_reference() {
        check("$$", "$");
        check("$$(A)", "$(A)");
        check("$$$(A)", "$1");
    }

    #[test]
    fn value_of_a_reference_is_not_expanded() {
        check("$(DOLLAR)", "$(A)");
    }
}
