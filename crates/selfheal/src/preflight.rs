//! Obstacles of exercises that are known before their first step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cli::NodeArguments;
use crate::doctor::ports;
use crate::doctor::postgresql::Provision;
use crate::embedded::{ImageProblem, image_problem};
use crate::exercise::report::Report;
use crate::exercise::verdict::Verdict;
use crate::exercise::{Exercise, manifests};

/// Reason why an exercise does not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Obstacle {
    /// A requirement is not installed; the text has the command that installs it.
    Missing(String),
    /// Something that exists is in conflict with the exercise.
    Conflict(String),
}

/// Obstacles by the name of the exercise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Preflight(BTreeMap<String, Obstacle>);

impl Preflight {
    /// Parses the result of `to_argument`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// Serializes the obstacles for the hidden argument of the process inside the node's namespaces.
    pub(crate) fn to_argument(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Adds an obstacle unless the exercise has one already.
    pub(crate) fn add(&mut self, exercise: &Exercise, obstacle: Obstacle) {
        self.0.entry(exercise.name.clone()).or_insert(obstacle);
    }

    /// Returns `true` if none of the exercises can start.
    pub(crate) fn blocks_all(&self, exercises: &[Exercise]) -> bool {
        exercises
            .iter()
            .all(|exercise| self.0.contains_key(&exercise.name))
    }

    /// Report of an exercise that cannot start.
    pub(crate) fn report(&self, exercise: &Exercise, engine: &str) -> Option<Report> {
        let (verdict, reason) = match self.0.get(&exercise.name)? {
            Obstacle::Missing(reason) => (Verdict::Skipped, reason),
            Obstacle::Conflict(reason) => (Verdict::Error, reason),
        };
        let reason = Some(reason.clone());
        Some(Report::without_results(
            exercise, engine, "", verdict, reason,
        ))
    }

    /// Reports of all exercises that cannot start.
    pub(crate) fn reports(&self, exercises: &[Exercise], engine: &str) -> Vec<Report> {
        let report = |exercise| self.report(exercise, engine);
        exercises.iter().filter_map(report).collect()
    }
}

/// Checks this host for exercises on a node in this process: programs of the images, PostgreSQL, ports. Provides PostgreSQL if an
/// exercise needs it, which needs the network of the host.
///
/// # Errors
/// When a manifest of the program is not valid.
pub(crate) fn check_host(
    exercises: &[Exercise],
    arguments: &NodeArguments,
) -> anyhow::Result<Preflight> {
    let mut preflight = Preflight::default();
    let postgresql = Provision::default();
    for exercise in exercises {
        for image in manifests::images(exercise)? {
            match image_problem(arguments, &image)? {
                None => {}
                Some(ImageProblem::NeedsPostgresql) => {
                    if let Err(reason) = postgresql.ensure() {
                        preflight.add(exercise, Obstacle::Missing(reason));
                    }
                }
                Some(ImageProblem::Other(reason)) => {
                    preflight.add(exercise, Obstacle::Conflict(reason));
                }
            }
        }
        for (port, service) in manifests::load_balancer_ports(exercise)? {
            if let Some(conflict) = ports::find_conflict(port) {
                let reason = format!("service {service} needs a port that is not free: {conflict}");
                preflight.add(exercise, Obstacle::Conflict(reason));
            }
        }
    }
    Ok(preflight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::catalog;
    use crate::exit::Exit;

    fn exercise(name: &str) -> Exercise {
        catalog::select(&[name.to_owned()]).unwrap().remove(0)
    }

    #[test]
    fn missing_requirement_skips_an_exercise_and_conflict_is_an_error() {
        let (todo, liveness) = (exercise("todo"), exercise("liveness"));
        let mut preflight = Preflight::default();
        preflight.add(&todo, Obstacle::Missing("no PostgreSQL".to_owned()));
        preflight.add(&todo, Obstacle::Conflict("port".to_owned()));
        let both = [todo, liveness];
        assert!(!preflight.blocks_all(&both));
        preflight.add(&both[1], Obstacle::Conflict("port".to_owned()));
        assert!(preflight.blocks_all(&both));
        let reports = preflight.reports(&both, "node");
        let exits: Vec<_> = reports.iter().map(|report| report.verdict.exit()).collect();
        assert_eq!(exits, [Exit::Passed, Exit::Error]);
        assert_eq!(reports[0].reason.as_deref(), Some("no PostgreSQL"));
        assert!(
            reports[0]
                .assertions
                .iter()
                .all(|result| result.verdict == Verdict::NotJudged)
        );
    }

    #[test]
    fn preflight_passes_through_an_argument() {
        let mut preflight = Preflight::default();
        preflight.add(&exercise("todo"), Obstacle::Missing("a \"b\"\n".to_owned()));
        let argument = preflight.to_argument().unwrap();
        assert_eq!(Preflight::parse(&argument), Ok(preflight));
        assert!(Preflight::parse("{").is_err());
    }
}
