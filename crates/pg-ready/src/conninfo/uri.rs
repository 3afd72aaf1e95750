//! Connection URIs: `postgresql://[user[:password]@][host][:port][,…][/dbname][?key=value[&…]]`, percent-encoded.

use percent_encoding::percent_decode_str;

use super::{ConninfoError, Settings, keywords};

/// Returns the URI without its scheme, or `None` if `text` is not a PostgreSQL URI.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

pub(super) fn parse(body: &str) -> Result<Settings, ConninfoError> {
    let mut settings = Settings::new();
    let rest = match body.find(['@', '/']) {
        Some(end) if body[end..].starts_with('@') => {
            store_login(&mut settings, &body[..end])?;
            &body[end + 1..]
        }
        _ => body,
    };
    let rest = store_hosts(&mut settings, rest)?;
    let (path, query) = rest
        .split_once('?')
        .map_or((rest, None), |(path, query)| (path, Some(query)));
    store(
        &mut settings,
        "dbname",
        path.strip_prefix('/').unwrap_or(path),
    )?;
    let query = query.filter(|query| !query.is_empty());
    let query = query.map(|query| query.strip_suffix('&').unwrap_or(query));
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        store_parameter(&mut settings, parameter)?;
    }
    Ok(settings)
}

fn store_login(settings: &mut Settings, login: &str) -> Result<(), ConninfoError> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    store(settings, "user", user)?;
    store(settings, "password", password)
}

/// Stores the comma-separated hosts and ports; returns the rest of the URI.
fn store_hosts<'a>(settings: &mut Settings, mut rest: &'a str) -> Result<&'a str, ConninfoError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    loop {
        let (host, after) = split_host(rest)?;
        let (port, after) = match after.strip_prefix(':') {
            Some(after) => after.split_at(after.find(['/', '?', ',']).unwrap_or(after.len())),
            None => ("", after),
        };
        hosts.push(host);
        ports.push(port);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => {
                rest = after;
                break;
            }
        }
    }
    store(settings, "host", &hosts.join(","))?;
    store(settings, "port", &ports.join(","))?;
    Ok(rest)
}

fn split_host(rest: &str) -> Result<(&str, &str), ConninfoError> {
    let Some(bracketed) = rest.strip_prefix('[') else {
        return Ok(rest.split_at(rest.find([':', '/', '?', ',']).unwrap_or(rest.len())));
    };
    let (host, after) = bracketed
        .split_once(']')
        .ok_or_else(|| uri_error("missing \"]\" after an IPv6 host address", rest))?;
    if host.is_empty() {
        return Err(uri_error("an empty IPv6 host address", rest));
    }
    if after.is_empty() || after.starts_with([':', '/', '?', ',']) {
        Ok((host, after))
    } else {
        Err(uri_error(
            "an unexpected character after an IPv6 host address",
            rest,
        ))
    }
}

fn store_parameter(settings: &mut Settings, parameter: &str) -> Result<(), ConninfoError> {
    let (name, value) = match parameter.split_once('=') {
        Some((name, value)) if !value.contains('=') => (name, value),
        // The value is left out of the error, because it may be a password.
        Some((name, _)) => return Err(uri_error("an extra \"=\" in a query parameter", name)),
        None => return Err(uri_error("a query parameter without \"=\"", parameter)),
    };
    let name = decode("parameter name", name)?;
    let value = decode(&name, value)?;
    if name == "ssl" && value == "true" {
        settings.insert("sslmode", "require".to_owned());
        return Ok(());
    }
    keywords::store(settings, &name, value)
        .map_err(|_| uri_error("an unknown query parameter", &name))
}

fn store(
    settings: &mut Settings,
    keyword: &'static str,
    encoded: &str,
) -> Result<(), ConninfoError> {
    if !encoded.is_empty() {
        settings.insert(keyword, decode(keyword, encoded)?);
    }
    Ok(())
}

/// Decodes a part. Errors contain its name and not its value, which may be a password.
fn decode(part: &str, encoded: &str) -> Result<String, ConninfoError> {
    // percent-encoding keeps invalid escapes as they are; libpq rejects them, and a zero byte.
    for (index, _) in encoded.match_indices('%') {
        match encoded.get(index + 1..index + 3) {
            Some("00") => return Err(uri_error("the forbidden value %00", part)),
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {}
            _ => return Err(uri_error("an invalid percent-encoded token", part)),
        }
    }
    Ok(percent_decode_str(encoded).decode_utf8_lossy().into_owned())
}

fn uri_error(problem: &str, part: &str) -> ConninfoError {
    ConninfoError::Uri {
        problem: problem.to_owned(),
        part: part.to_owned(),
    }
}
