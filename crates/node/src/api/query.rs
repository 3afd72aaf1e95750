//! A request's options.

use std::collections::BTreeMap;
use std::time::Duration;

/// The query part of a URL; of a repeated name the last value counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        Self(
            url::form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The value of an option that is given and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
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
