//! Image references: registry, name, tag and digest.

/// Returns the reference without Docker Hub's defaults: the registry `docker.io` and the namespace `library`.
pub(super) fn familiar(reference: &str) -> &str {
    let short = reference.strip_prefix("docker.io/").unwrap_or(reference);
    short.strip_prefix("library/").unwrap_or(short)
}

fn undigested(name: &str) -> &str {
    name.split('@').next().unwrap_or_default()
}

/// Returns the name with its tag, `latest` if it has none, and without its digest.
pub(super) fn tagged(name: &str) -> String {
    let (name, untagged) = (undigested(name), untagged(name));
    if name == untagged {
        format!("{name}:latest")
    } else {
        name.to_owned()
    }
}

pub(super) fn untagged(name: &str) -> &str {
    let name = undigested(name);
    match name.rsplit_once(':') {
        // A colon before a slash separates the port of a registry.
        Some((base, tag)) if !tag.contains('/') => base,
        _ => name,
    }
}

/// Returns `true` if the name is lower-case parts separated by slashes, with an optional tag and digest.
pub(super) fn is_reference(reference: &str) -> bool {
    let name = untagged(reference);
    let is_name =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-:".contains(&byte);
    let parts_are_names = name.split('/').all(|part| {
        !part.is_empty()
            && part.bytes().all(is_name)
            && part
                .bytes()
                .next()
                .is_some_and(|byte| byte.is_ascii_alphanumeric())
    });
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:@".contains(&byte);
    parts_are_names && reference[name.len()..].bytes().all(is_tag)
}
