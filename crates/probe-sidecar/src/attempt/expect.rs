//! What an answer has to be beyond the kubelet's rule.

use probe::http::HttpResponse;
use probe::{Reason, Verdict};
use regex_lite::Regex;

use super::BuildError;
use crate::finding::Why;
use crate::spec::{Expect, ExpectHeader, HeaderValue};

/// Expectations, ready to be checked.
#[derive(Debug)]
pub(super) struct Judge {
    expect: Expect,
    body: Option<Regex>,
    /// One for each header; none where it is not an expression.
    headers: Vec<Option<Regex>>,
}

/// A verdict, its reason and its words.
pub(super) type Judgement = (Verdict, Option<Why>, String);

impl Judge {
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

    pub(super) fn judge(&self, answer: &HttpResponse) -> Judgement {
        let body = String::from_utf8_lossy(&answer.body);
        let failed = |reason: Reason, words: String| (Verdict::Failure, Some(reason.into()), words);
        let status = answer.status;
        let fits = if self.expect.statuses.is_empty() {
            (200..400).contains(&status)
        } else {
            self.expect.statuses.contains(&status)
        };
        if !fits {
            let words = format!("HTTP probe failed with statuscode: {status}");
            return failed(Reason::Status(status), words);
        }
        if let Some(words) = self.missing_header(answer) {
            return failed(Reason::Header, words);
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
            let words = format!("the body does not match {:?}: {body}", expression.as_str());
            return failed(Reason::Body, words);
        }
        (Verdict::Success, None, body.into_owned())
    }

    fn missing_header(&self, answer: &HttpResponse) -> Option<String> {
        let mut wanted = self.expect.headers.iter().zip(&self.headers);
        let (header, _) = wanted.find(|(header, expression)| {
            let mut values = answer
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(&header.name))
                .map(|(_, value)| value);
            !values.any(|value| match &header.value {
                HeaderValue::Present => true,
                HeaderValue::Is(wanted) => value == wanted,
                HeaderValue::Matches(_) => expression.as_ref().is_some_and(|it| it.is_match(value)),
            })
        })?;
        Some(match &header.value {
            HeaderValue::Present => format!("there is no header {}", header.name),
            HeaderValue::Is(value) => format!("no header {} is {value:?}", header.name),
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
        let (verdict, why, words) = Judge::new(expect).unwrap().judge(&answer);
        assert_eq!(why.map(|why| why.word), reason, "{words}");
        assert_eq!(verdict == Verdict::Success, reason.is_none());
    }

    #[test]
    fn without_expectations_the_kubelets_rule_holds() {
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
    fn statuses_are_those_that_are_listed() {
        let expect = Expect {
            statuses: vec![401],
            ..Expect::default()
        };
        check(&expect, 401, "", None);
        check(&expect, 200, "", Some("status"));
    }

    #[test]
    fn a_body_contains_and_matches() {
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
    fn a_header_is_there_is_or_matches() {
        for (name, value, reason) in [
            ("x-role", HeaderValue::Present, None),
            ("x-rule", HeaderValue::Present, Some("header")),
            ("x-role", HeaderValue::Is("primary".to_owned()), None),
            ("x-role", HeaderValue::Is("prim".to_owned()), Some("header")),
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
