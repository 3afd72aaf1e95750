//! Content negotiation between JSON and text.

use http::{HeaderMap, header};

/// Returns `true` if the client accepts `application/json` explicitly, with at least the quality of text.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    let (mut json, mut text) = (0.0, 0.0);
    let values = headers.get_all(header::ACCEPT).iter();
    for range in values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        match name.as_str() {
            "application/json" => json = f32::max(json, quality),
            "text/plain" | "text/html" | "text/*" => text = f32::max(text, quality),
            _ => {}
        }
    }
    json > 0.0 && json >= text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_chosen_only_if_named() {
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("application/json", true),
            ("Application/JSON;q=0.5", true),
            ("application/json;q=0", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/html, application/json;q=0.9", false),
            ("text/plain;q=0.1, application/json;q=0.9", true),
            ("application/json;q=x", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_json(&headers), expected, "{accept}");
        }
    }
}
