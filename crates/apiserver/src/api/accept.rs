//! Content negotiation: the `Accept` header (RFC 9110, section 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// One media range of an `Accept` header. Kubernetes' clients list ranges in order of preference, so quality values are
/// ignored, as in kube-apiserver.
#[derive(Clone, Copy, Debug)]
pub(super) struct MediaRange<'a> {
    pub(super) media_type: &'a str,
    parameters: &'a str,
}

impl<'a> MediaRange<'a> {
    /// Returns the value of a parameter such as `as=Table`.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.split(';').find_map(|parameter| {
            let (found, value) = parameter.trim().split_once('=')?;
            (found == name).then_some(value)
        })
    }

    /// Returns `true` if the range has all these parameters.
    pub(super) fn has_parameters(&self, wanted: &[(&str, &str)]) -> bool {
        let has = |(name, value): &(&str, &str)| self.parameter(name) == Some(*value);
        wanted.iter().all(has)
    }
}

/// Returns the media ranges of the `Accept` header, most preferred first; none without a header.
pub(super) fn media_ranges(headers: &HeaderMap) -> impl Iterator<Item = MediaRange<'_>> {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.unwrap_or_default().split(',').map(|range| {
        let (media_type, parameters) = range.split_once(';').unwrap_or((range, ""));
        MediaRange {
            media_type: media_type.trim(),
            parameters,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_header_is_split_into_media_ranges_in_order() {
        let mut headers = HeaderMap::new();
        let accept = "application/json;as=Table; v=v1 ;g=meta.k8s.io, application/json;q=0.5,*/*";
        headers.insert(ACCEPT, accept.parse().unwrap());
        let ranges: Vec<_> = media_ranges(&headers).collect();
        let types: Vec<_> = ranges.iter().map(|range| range.media_type).collect();
        assert_eq!(types, ["application/json", "application/json", "*/*"]);
        assert!(ranges[0].has_parameters(&[("g", "meta.k8s.io"), ("v", "v1"), ("as", "Table")]));
        assert!(!ranges[0].has_parameters(&[("as", "Table"), ("v", "v2")]));
        assert_eq!(ranges[1].parameter("as"), None);
        assert_eq!(ranges[1].parameter("q"), Some("0.5"));
    }

    #[test]
    fn missing_accept_header_names_no_media_type() {
        let headers = HeaderMap::new();
        let mut types = media_ranges(&headers).map(|range| range.media_type);
        assert!(types.all(str::is_empty));
    }
}
