//! Rules for names. Each function returns the messages of the API server for a name that violates the rule.

/// Returns the violations of a rule.
pub(super) type Rule = fn(&str) -> Vec<String>;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENVIRONMENT: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";

fn limit(name: &str, max_len: usize) -> Option<String> {
    (name.len() > max_len).then(|| format!("must be no more than {max_len} characters"))
}

fn broken(holds: bool, detail: &str) -> Option<String> {
    (!holds).then(|| detail.to_owned())
}

fn is_label(name: &str) -> bool {
    let edge = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}

fn is_alphanumeric_word(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}

/// Validates names of namespaces, containers and volumes.
pub(super) fn label(name: &str) -> Vec<String> {
    limit(name, 63)
        .into_iter()
        .chain(broken(is_label(name), LABEL))
        .collect()
}

/// Validates names of most objects.
pub(super) fn subdomain(name: &str) -> Vec<String> {
    let holds = name.split('.').all(is_label);
    limit(name, 253)
        .into_iter()
        .chain(broken(holds, SUBDOMAIN))
        .collect()
}

/// Validates names of services.
pub(super) fn dns_1035(name: &str) -> Vec<String> {
    let holds = is_label(name)
        && name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
    limit(name, 63)
        .into_iter()
        .chain(broken(holds, DNS_1035))
        .collect()
}

/// Validates keys of labels and annotations.
pub(super) fn qualified(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let mut errors = Vec::new();
    if let Some(prefix) = prefix {
        errors.extend(
            subdomain(prefix)
                .into_iter()
                .map(|detail| format!("prefix part {detail}")),
        );
    }
    errors.extend(limit(name, 63).map(|detail| format!("name part {detail}")));
    errors.extend(broken(is_alphanumeric_word(name), QUALIFIED));
    errors
}

/// Validates values of labels.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let holds = value.is_empty() || is_alphanumeric_word(value);
    limit(value, 63)
        .into_iter()
        .chain(broken(holds, VALUE))
        .collect()
}

/// Validates keys of config maps and secrets, which are file names in volumes.
pub(super) fn data_key(key: &str) -> Vec<String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let holds = !key.is_empty() && key.bytes().all(inner);
    let dots = match key {
        "." => Some("must not be '.'"),
        ".." => Some("must not be '..'"),
        _ => key.starts_with("..").then_some("must not start with '..'"),
    };
    limit(key, 253)
        .into_iter()
        .chain(broken(holds, DATA_KEY))
        .chain(dots.map(str::to_owned))
        .collect()
}

/// Validates names of environment variables.
pub(super) fn environment(name: &str) -> Vec<String> {
    let holds = name
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=');
    broken(holds, ENVIRONMENT).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated_by_their_rules() {
        let long = "a".repeat(64);
        let rules: [(Rule, &[&str], &[&str]); 6] = [
            (
                label,
                &["a", "a-1", "1"],
                &["", "-a", "a-", "A", "a.b", "a_b", &long],
            ),
            (
                subdomain,
                &["a", "a.b-c.1"],
                &["", "a..b", ".a", "a.-b", "A.b"],
            ),
            (dns_1035, &["a", "a-1"], &["", "1a", "a-", "a.b", &long]),
            (
                qualified,
                &["a", "A_b.c-1", "example.org/a"],
                &["", "/a", "a/", "a/b/c", "-a", "Up/a", &long],
            ),
            (label_value, &["", "A_b.c-1"], &["-a", "a b", "ü", &long]),
            (
                data_key,
                &["a", ".hidden", "-A_b.c", "a..b", &long],
                &["", ".", "..", "..a", "a/b", "a b", "ü"],
            ),
        ];
        for (rule, good, bad) in rules {
            for name in good {
                assert_eq!(rule(name), [""; 0], "{name:?}");
            }
            for name in bad {
                assert_ne!(rule(name), [""; 0], "{name:?}");
            }
        }
        assert_eq!(environment("A.b-c d"), [""; 0]);
        assert_eq!(environment("A=b"), [ENVIRONMENT]);
    }
}
