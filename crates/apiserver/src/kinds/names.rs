//! The rules for names, as the API server words them. Each returns what a name breaks.

/// A rule for names.
pub(super) type Rule = fn(&str) -> Vec<String>;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENVIRONMENT: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";

fn limit(name: &str, most: usize) -> Option<String> {
    (name.len() > most).then(|| format!("must be no more than {most} characters"))
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

fn is_word(name: &str) -> bool {
    let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}

/// Names of namespaces, containers and volumes.
pub(super) fn label(name: &str) -> Vec<String> {
    limit(name, 63)
        .into_iter()
        .chain(broken(is_label(name), LABEL))
        .collect()
}

/// Names of most objects.
pub(super) fn subdomain(name: &str) -> Vec<String> {
    let holds = name.split('.').all(is_label);
    limit(name, 253)
        .into_iter()
        .chain(broken(holds, SUBDOMAIN))
        .collect()
}

/// Names of services.
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

/// Keys of labels and annotations.
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
    errors.extend(broken(is_word(name), QUALIFIED));
    errors
}

/// Values of labels.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let holds = value.is_empty() || is_word(value);
    limit(value, 63)
        .into_iter()
        .chain(broken(holds, VALUE))
        .collect()
}

/// Keys of what config maps and secrets hold, which become names of files.
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

/// Names of environment variables.
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
    fn names_keep_to_their_rules() {
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
