//! The licences under which a package is used.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use serde::Deserialize;
use spdx::expression::Expression;
use spdx::{LicenseItem, LicenseReq, Licensee, ParseMode};

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
}

/// Accepted licences, the preferred ones first: `licenses.allow` of `deny.toml`.
pub(crate) struct Accepted(Vec<Licensee>);

impl Accepted {
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let deny: Deny =
            toml::from_str(&text).with_context(|| format!("{}: licenses.allow", file.display()))?;
        Self::new(&deny.licenses.allow)
    }

    fn new(names: &[String]) -> Result<Self> {
        let licensee = |name: &String| {
            Licensee::parse(name).map_err(|error| anyhow!("licence {name}: {error}"))
        };
        names.iter().map(licensee).collect::<Result<_>>().map(Self)
    }

    /// Returns the fewest accepted licences that satisfy an SPDX expression.
    pub(crate) fn choose(&self, expression: &str) -> Result<Vec<LicenseReq>> {
        let parsed = Expression::parse_mode(expression, ParseMode::LAX)
            .map_err(|error| anyhow!("licence expression {expression:?}: {}", error.reason))?;
        parsed.minimized_requirements(&self.0).map_err(|error| {
            anyhow!("licence expression {expression:?}: {error}; deny.toml lists what is accepted")
        })
    }
}

/// Returns the text of a licence in the SPDX list.
pub(crate) fn standard_text(license: &LicenseReq) -> Result<&'static str> {
    match &license.license {
        LicenseItem::Spdx { id, .. } => Ok(id.text()),
        LicenseItem::Other { .. } => Err(anyhow!("licence {license} is not in the SPDX list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expression_with_alternatives_uses_the_first_accepted_licence() {
        let names = ["Apache-2.0", "BSD-3-Clause", "MIT", "Unicode-3.0"].map(str::to_owned);
        let accepted = Accepted::new(&names).unwrap();
        for (expression, expected) in [
            ("MIT", "MIT"),
            ("MIT OR Apache-2.0", "Apache-2.0"),
            ("Apache-2.0 / MIT", "Apache-2.0"),
            ("Unlicense OR MIT", "MIT"),
            ("MIT AND BSD-3-Clause", "BSD-3-Clause MIT"),
            (
                "(MIT OR Apache-2.0) AND Unicode-3.0",
                "Apache-2.0 Unicode-3.0",
            ),
        ] {
            let mut chosen: Vec<String> = accepted
                .choose(expression)
                .unwrap()
                .iter()
                .map(ToString::to_string)
                .collect();
            chosen.sort();
            assert_eq!(chosen.join(" "), expected, "{expression}");
        }
    }

    #[test]
    fn expression_without_an_accepted_licence_is_an_error() {
        let accepted = Accepted::new(&["MIT".to_owned()]).unwrap();
        let error = accepted.choose("GPL-3.0-only").unwrap_err().to_string();
        assert!(error.contains("GPL-3.0-only"), "{error}");
    }
}
