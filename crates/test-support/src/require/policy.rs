//! Requirements whose absence fails a test.

use super::{Requirement, TABLE};

/// Environment variable of the setting.
pub(super) const VARIABLE: &str = "SELFHEAL_TEST_REQUIRE";

/// Returns `true` if `setting` demands the requirement: a list of names, `all`, and `-NAME` for exceptions, separated by commas.
///
/// # Errors
/// A name in `setting` is not a requirement's.
pub(super) fn demands(setting: &str, requirement: Requirement) -> Result<bool, String> {
    let mut is_demanded = false;
    for word in setting
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
    {
        if word == "all" {
            is_demanded = true;
            continue;
        }
        let name = word.strip_prefix('-').unwrap_or(word);
        let named = Requirement::named(name).ok_or_else(|| unknown(setting, name))?;
        if named == requirement {
            is_demanded = !word.starts_with('-');
        }
    }
    Ok(is_demanded)
}

fn unknown(setting: &str, name: &str) -> String {
    let names: Vec<_> = TABLE.iter().map(|row| row.1).collect();
    format!(
        "{VARIABLE}={setting}: unknown requirement {name:?}; known: all, {}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_demands_the_requirements_that_it_names() {
        for (setting, kubectl, root) in [
            ("", false, false),
            ("all", true, true),
            ("kubectl", true, false),
            ("root, kubectl", true, true),
            ("all,-kubectl", false, true),
            ("all,-kubectl,-root", false, false),
            ("-kubectl", false, false),
        ] {
            let demands = |requirement| demands(setting, requirement).unwrap();
            let seen = (demands(Requirement::Kubectl), demands(Requirement::Root));
            assert_eq!(seen, (kubectl, root), "{setting:?}");
        }
    }

    #[test]
    fn setting_with_an_unknown_name_is_an_error() {
        let error = demands("all,-kubctl", Requirement::Root).unwrap_err();
        assert!(error.contains(r#"unknown requirement "kubctl""#), "{error}");
        assert!(error.contains("kubectl, musl"), "{error}");
    }
}
