//! The verdict on an exercise, for people and for programs.

use std::io;

use serde::Serialize;

use super::Claim;
use super::outage::Measured;
use super::transcript::Transcript;
use crate::exit::Exit;

/// How an exercise went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Its name.
    pub(crate) exercise: String,
    /// Where it ran.
    pub(crate) engine: String,
    /// The step that did not come true, where one did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stopped: Option<String>,
    /// The outages that were measured, where any were.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) outages: Vec<Measured>,
    /// Each claim.
    pub(crate) claims: Vec<Verdict>,
}

/// One claim judged.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Verdict {
    /// The sentence.
    pub(crate) claim: String,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// What was observed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<String>,
}

impl Verdict {
    /// The verdict on a claim that holds unless something else was observed.
    pub(crate) fn new(claim: &Claim, observed: Option<String>) -> Self {
        Self {
            claim: claim.says.clone(),
            holds: observed.is_none(),
            observed,
        }
    }

    /// Prints it for a person.
    pub(crate) fn print(&self, transcript: &mut Transcript<'_>) -> io::Result<()> {
        let word = if self.holds { "holds" } else { "FAILS" };
        transcript.line(&format!("{word}  {}", self.claim))?;
        match &self.observed {
            Some(observed) => transcript.line(&format!("       {observed}")),
            None => Ok(()),
        }
    }
}

impl Report {
    /// Whether everything held.
    pub(crate) fn exit(&self) -> Exit {
        let held = self.stopped.is_none() && self.claims.iter().all(|verdict| verdict.holds);
        if held { Exit::Held } else { Exit::Failed }
    }

    /// Prints the verdict for a person.
    pub(crate) fn print(&self, transcript: &mut Transcript<'_>) -> io::Result<()> {
        transcript.say(&format!("Verdict on {} ({})", self.exercise, self.engine))?;
        if let Some(stopped) = &self.stopped {
            transcript.line(&format!("stopped: {stopped}"))?;
        }
        for verdict in &self.claims {
            verdict.print(transcript)?;
        }
        let held = self.claims.iter().filter(|verdict| verdict.holds).count();
        transcript.line(&format!("{held} of {} claims hold", self.claims.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Verdict};
    use crate::exercise::transcript::Transcript;
    use crate::exit::Exit;

    fn report(holds: bool, stopped: Option<&str>) -> Report {
        let observed = (!holds).then(|| "restarts: expected [1], observed [0]".to_owned());
        Report {
            exercise: "liveness".to_owned(),
            engine: "cluster".to_owned(),
            stopped: stopped.map(str::to_owned),
            outages: Vec::new(),
            claims: vec![Verdict {
                claim: "It was restarted.".to_owned(),
                holds,
                observed,
            }],
        }
    }

    #[test]
    fn a_failed_claim_or_a_stopped_step_fails_the_exercise() {
        assert_eq!(report(true, None).exit(), Exit::Held);
        assert_eq!(report(false, None).exit(), Exit::Failed);
        assert_eq!(report(true, Some("gave up")).exit(), Exit::Failed);
    }

    #[test]
    fn the_verdict_names_what_was_observed_instead() {
        let mut out = Vec::new();
        report(false, Some("gave up"))
            .print(&mut Transcript::new(&mut out))
            .unwrap();
        let expected = "\n# Verdict on liveness (cluster)\nstopped: gave up\nFAILS  It was restarted.\n       \
                        restarts: expected [1], observed [0]\n0 of 1 claims hold\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
