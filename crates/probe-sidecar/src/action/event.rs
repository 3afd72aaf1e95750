//! Event that an action reports: as JSON, as environment variables, and in templates.

use serde::Serialize;

/// A change of status that triggered an action, or its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Name of the action.
    pub action: String,
    /// Name of the probe or group: `livez/TARGET`, `groups/NAME`.
    pub probe: String,
    /// Status that triggered the action.
    pub became: &'static str,
    /// `true` if the trigger is over.
    pub resolved: bool,
    /// Kind of the last failure.
    pub reason: Option<&'static str>,
    /// HTTP status, exit code or signal of the last failure.
    pub code: Option<i32>,
    /// Output of the last attempt.
    pub output: Box<str>,
    /// Time of the action.
    pub at: String,
}

impl Event {
    /// Formats the event as a JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the event as environment variables `PROBE_ACTION`, `PROBE_NAME`, …
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let variable = |(name, value): (&str, String)| {
            // A NUL cannot be part of an environment variable.
            (format!("PROBE_{name}"), value.replace('\0', ""))
        };
        self.fields().into_iter().map(variable).collect()
    }

    /// Replaces `${NAME}` in a template by fields of the event, escaped for a JSON string. Other text is unchanged.
    #[must_use]
    pub fn render(&self, template: &str) -> String {
        let fields = self.fields();
        let mut text = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            text.push_str(before);
            let field = after.split_once('}').and_then(|(name, rest)| {
                let value = fields.iter().find(|(field, _)| *field == name);
                value.map(|(_, value)| (value, rest))
            });
            match field {
                Some((value, after)) => {
                    let quoted = serde_json::to_string(value).unwrap_or_default();
                    text.push_str(
                        quoted
                            .trim_start_matches('"')
                            .strip_suffix('"')
                            .unwrap_or(""),
                    );
                    rest = after;
                }
                None => {
                    text.push_str("${");
                    rest = after;
                }
            }
        }
        text.push_str(rest);
        text
    }

    fn fields(&self) -> [(&'static str, String); 8] {
        [
            ("ACTION", self.action.clone()),
            ("NAME", self.probe.clone()),
            ("BECAME", self.became.to_owned()),
            ("RESOLVED", self.resolved.to_string()),
            ("REASON", self.reason.unwrap_or_default().to_owned()),
            (
                "CODE",
                self.code.map(|code| code.to_string()).unwrap_or_default(),
            ),
            ("OUTPUT", self.output.to_string()),
            ("AT", self.at.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            action: "x".to_owned(),
            probe: "livez/a".to_owned(),
            became: "unhealthy",
            resolved: false,
            reason: Some("status"),
            code: None,
            output: "\"down\"\nnow ${NAME}\0".into(),
            at: "2026-01-01T00:00:00.000Z".to_owned(),
        }
    }

    #[test]
    fn template_has_fields_escaped_for_json() {
        for (template, expected) in [
            ("", ""),
            (
                "{\"text\": \"${NAME} ${BECAME}\"}",
                "{\"text\": \"livez/a unhealthy\"}",
            ),
            ("${OUTPUT}", "\\\"down\\\"\\nnow ${NAME}\\u0000"),
            ("${CODE}|${REASON}|${RESOLVED}", "|status|false"),
            ("${OTHER} ${ACTION $ { ${", "${OTHER} ${ACTION $ { ${"),
        ] {
            assert_eq!(event().render(template), expected, "{template}");
        }
    }

    #[test]
    fn environment_has_every_field_without_nul() {
        let environment = event().environment();
        assert_eq!(environment.len(), 8);
        let output = (
            "PROBE_OUTPUT".to_owned(),
            "\"down\"\nnow ${NAME}".to_owned(),
        );
        assert!(environment.contains(&output), "{environment:?}");
    }
}
