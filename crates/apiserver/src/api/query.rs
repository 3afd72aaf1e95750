//! A request's options.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;

/// Who writes, where nobody says it: the controllers and the kubelet of this node.
const OWN_AGENT: &str = "selfheal";
/// The longest name of a manager of fields.
const MAX_MANAGER: usize = 128;

/// The query part of a URL; of a repeated name the last value counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    options: BTreeMap<String, String>,
    agent: Option<String>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self {
            options: url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
            agent: None,
        }
    }

    /// The same request, of the program that its headers name.
    pub(super) fn of_agent(self, headers: &HeaderMap) -> Self {
        let agent = headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok());
        let name = agent.and_then(|agent| agent.split('/').next());
        let cut = |name: &str| name.chars().take(MAX_MANAGER).collect();
        Self {
            agent: name.filter(|name| !name.is_empty()).map(cut),
            ..self
        }
    }

    /// Who owns the fields that this request writes.
    pub(super) fn manager(&self) -> &str {
        let given = self.get("fieldManager").or(self.agent.as_deref());
        given.unwrap_or(OWN_AGENT)
    }

    /// The value of an option that is given and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.options
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn watches(&self) -> bool {
        self.is_set("watch")
    }

    pub(super) fn dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        let seconds: u64 = self.get("timeoutSeconds")?.parse().ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}
