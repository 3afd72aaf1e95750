//! Query parameters and the user agent of a request.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;

/// Field manager of requests with neither `fieldManager` nor `User-Agent`: those of this node's own components.
const DEFAULT_FIELD_MANAGER: &str = "selfheal";
/// Maximum number of characters of a field manager's name.
const MAX_FIELD_MANAGER_LEN: usize = 128;

/// Parsed query of a URL. The last value of a repeated parameter counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query {
    parameters: BTreeMap<String, String>,
    /// Product name of the `User-Agent` header.
    user_agent: Option<String>,
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self {
            parameters: url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
            user_agent: None,
        }
    }

    /// Adds the product name of the `User-Agent` header, which is the default field manager.
    pub(super) fn with_user_agent(self, headers: &HeaderMap) -> Self {
        let user_agent = headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok());
        let product = user_agent.and_then(|agent| agent.split('/').next());
        let truncate = |name: &str| name.chars().take(MAX_FIELD_MANAGER_LEN).collect();
        Self {
            user_agent: product.filter(|name| !name.is_empty()).map(truncate),
            ..self
        }
    }

    /// Returns the manager that owns the fields which this request writes.
    pub(super) fn field_manager(&self) -> &str {
        let given = self.get("fieldManager").or(self.user_agent.as_deref());
        given.unwrap_or(DEFAULT_FIELD_MANAGER)
    }

    /// Returns the value of a parameter; `None` if it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.get(name), Some("true" | "1"))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.is_set("watch")
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.get("dryRun") == Some("All")
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        let seconds: u64 = self.get("timeoutSeconds")?.parse().ok()?;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }
}
