//! Version of kubectl. The exercises do not use kubectl.

use std::process::Command;

use serde::Deserialize;

use super::{Finding, Status};

/// Minor version of Kubernetes that the node serves.
const SERVER_MINOR: u32 = 36;

/// Difference of minor versions that kubectl supports.
const SUPPORTED_SKEW: u32 = 1;

const KUBECTL: &str = "kubectl";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: Version,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    minor: String,
    git_version: String,
}

/// Checks that kubectl exists in a supported version.
pub(crate) fn check_version() -> Finding {
    let arguments = ["version", "--client", "--output=json"];
    let output = match Command::new(KUBECTL).args(arguments).output() {
        Ok(output) => output,
        Err(error) => {
            let text = format!(
                "not found ({error}); the exercises run without it. To type the chapter's commands: \
                 https://kubernetes.io/docs/tasks/tools/"
            );
            return Finding::new(KUBECTL, Status::Warning, text);
        }
    };
    match serde_json::from_slice::<Versions>(&output.stdout) {
        Ok(versions) => version_finding(&versions.client_version),
        Err(error) => {
            let text = format!("`kubectl version` has an unexpected output: {error}");
            Finding::new(KUBECTL, Status::Warning, text)
        }
    }
}

fn version_finding(version: &Version) -> Finding {
    let minor = version.minor.trim_end_matches('+').parse::<u32>().ok();
    let is_supported = minor.is_some_and(|minor| minor.abs_diff(SERVER_MINOR) <= SUPPORTED_SKEW);
    let found = &version.git_version;
    if is_supported {
        return Finding::new(KUBECTL, Status::Ok, found);
    }
    let text = format!(
        "{found}: the node serves v1.{SERVER_MINOR}, which kubectl supports from v1.{} on; most commands work",
        SERVER_MINOR - SUPPORTED_SKEW
    );
    Finding::new(KUBECTL, Status::Warning, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_minor_is_that_of_the_node() {
        let version = format!("v1.{SERVER_MINOR}.");
        assert!(component_helpers::VERSION.starts_with(&version));
    }

    #[test]
    fn kubectl_more_than_one_minor_version_away_is_a_warning() {
        for (minor, status) in [
            ("36", Status::Ok),
            ("35+", Status::Ok),
            ("37", Status::Ok),
            ("32", Status::Warning),
            ("x", Status::Warning),
        ] {
            let version = Version {
                minor: minor.to_owned(),
                git_version: format!("v1.{minor}.0"),
            };
            assert_eq!(version_finding(&version).status, status, "{minor}");
        }
    }
}
