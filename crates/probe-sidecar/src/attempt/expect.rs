//! Expectations of an HTTP response in addition to the rule of the kubelet.

use probe::http::HttpResponse;
use probe::{Reason, Verdict};
use regex_lite::Regex;

use super::BuildError;
use crate::outcome::FailureReason;
use crate::spec::{Expect, ExpectHeader, HeaderValue};

/// Expectations with compiled regular expressions.
#[derive(Debug)]
pub(super) struct ResponseMatcher {
    expect: Expect,
    body: Option<Regex>,
    /// One element per header; `None` if its condition is not an expression.
    headers: Vec<Option<Regex>>,
}

/// Verdict, reason and message.
pub(super) type MatchResult = (Verdict, Option<FailureReason>, String);

impl ResponseMatcher {
    pub(super) fn new(expect: &Expect) -> Result<Self, BuildError> {
        let compile = |expression: &String| {
            let compiled = Regex::new(expression);
            compiled.map_err(|error| BuildError::new(format!("{expression:?}: {error}")))
        };
        let header = |header: &ExpectHeader| match &header.value {
            HeaderValue::Matches(expression) => compile(expression).map(Some),
            _ => Ok(None),
        };
        Ok(Self {
            body: expect.body_matches.as_ref().map(compile).transpose()?,
            headers: expect
                .headers
                .iter()
                .map(header)
                .collect::<Result<_, _>>()?,
            expect: expect.clone(),
        })
    }

    pub(super) fn match_response(&self, answer: &HttpResponse) -> MatchResult {
        let body = String::from_utf8_lossy(&answer.body);
        let failed =
            |reason: Reason, message: String| (Verdict::Failure, Some(reason.into()), message);
        let status = answer.status;
        let is_expected = if self.expect.statuses.is_empty() {
            (200..400).contains(&status)
        } else {
            self.expect.statuses.contains(&status)
        };
        if !is_expected {
            let message = format!("HTTP probe failed with statuscode: {status}");
            return failed(Reason::Status(status), message);
        }
        if let Some(message) = self.missing_header(answer) {
            return failed(Reason::Header, message);
        }
        if let Some(text) = &self.expect.body_contains
            && !body.contains(text.as_str())
        {
            return failed(
                Reason::Body,
                format!("the body does not contain {text:?}: {body}"),
            );
        }
        if let Some(expression) = &self.body
            && !expression.is_match(&body)
        {
            let message = format!("the body does not match {:?}: {body}", expression.as_str());
            return failed(Reason::Body, message);
        }
        (Verdict::Success, None, body.into_owned())
    }

    fn missing_header(&self, answer: &HttpResponse) -> Option<String> {
        let mut expected = self.expect.headers.iter().zip(&self.headers);
        let (header, _) = expected.find(|(header, expression)| {
            let mut values = answer
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(&header.name))
                .map(|(_, value)| value);
            !values.any(|value| match &header.value {
                HeaderValue::Present => true,
                HeaderValue::Equals(expected) => value == expected,
                HeaderValue::Matches(_) => expression.as_ref().is_some_and(|it| it.is_match(value)),
            })
        })?;
        Some(match &header.value {
            HeaderValue::Present => format!("missing header {}", header.name),
            HeaderValue::Equals(value) => {
                format!("no header {} with the value {value:?}", header.name)
            }
            HeaderValue::Matches(value) => format!("no header {} matches {value:?}", header.name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expect: &Expect, status: u16, body: &str, reason: Option<&str>) {
        let answer = HttpResponse {
            status,
            headers: vec![("X-Role".to_owned(), "primary".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let (verdict, found, message) = ResponseMatcher::new(expect)
            .unwrap()
            .match_response(&answer);
        assert_eq!(found.map(|found| found.kind), reason, "{message}");
        assert_eq!(verdict == Verdict::Success, reason.is_none());
    }

    #[test]
    fn response_without_expectations_is_judged_as_by_the_kubelet() {
        let none = Expect::default();
        for (status, reason) in [
            (200, None),
            (399, None),
            (400, Some("status")),
            (199, Some("status")),
        ] {
            check(&none, status, "", reason);
        }
    }

    #[test]
    fn only_listed_statuses_are_expected() {
        let expect = Expect {
            statuses: vec![401],
            ..Expect::default()
        };
        check(&expect, 401, "", None);
        check(&expect, 200, "", Some("status"));
    }

    #[test]
    fn body_is_checked_for_substring_and_expression() {
        let expect = Expect {
            body_contains: Some("\"ok\"".to_owned()),
            body_matches: Some("^\\{.*\\}$".to_owned()),
            ..Expect::default()
        };
        check(&expect, 200, "{\"ok\"}", None);
        check(&expect, 200, "{ok}", Some("body"));
        check(&expect, 200, "x{\"ok\"}", Some("body"));
    }

    #[test]
    fn header_is_checked_for_presence_value_and_expression() {
        for (name, value, reason) in [
            ("x-role", HeaderValue::Present, None),
            ("x-rule", HeaderValue::Present, Some("header")),
            ("x-role", HeaderValue::Equals("primary".to_owned()), None),
            (
                "x-role",
                HeaderValue::Equals("prim".to_owned()),
                Some("header"),
            ),
            ("x-role", HeaderValue::Matches("^pri".to_owned()), None),
            (
                "x-role",
                HeaderValue::Matches("^sec".to_owned()),
                Some("header"),
            ),
        ] {
            let expect = Expect {
                headers: vec![ExpectHeader {
                    name: name.to_owned(),
                    value,
                }],
                ..Expect::default()
            };
            check(&expect, 200, "", reason);
        }
    }
}
