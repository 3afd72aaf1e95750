//! Result of an exercise, for terminals and for programs.

use std::io;

use serde::Serialize;

use super::assertions::Judgement;
use super::outage::MeasuredOutage;
use super::transcript::Transcript;
use super::verdict::Verdict;
use super::{Assertion, Exercise};

/// Result of one exercise.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Name of the exercise.
    pub(crate) exercise: String,
    /// Engine that it ran on, as in "cluster, context kind-kind".
    pub(crate) engine: String,
    /// Namespace that it ran in; empty if it did not start.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) namespace: String,
    /// Verdict on the exercise.
    pub(crate) verdict: Verdict,
    /// Reason why the exercise was skipped or stopped early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// Measured outages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) outages: Vec<MeasuredOutage>,
    /// Results of the assertions, in the order of the exercise.
    pub(crate) assertions: Vec<AssertionResult>,
}

/// Result of one assertion.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AssertionResult {
    /// The sentence.
    pub(crate) text: String,
    /// `Pass`, `Fail` or `NotJudged`.
    pub(crate) verdict: Verdict,
    /// Observation that contradicts the assertion, or the reason why it was not judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) observed: Option<String>,
}

impl AssertionResult {
    pub(crate) fn new(assertion: &Assertion, judgement: Judgement) -> Self {
        let (verdict, observed) = match judgement {
            Judgement::Pass => (Verdict::Pass, None),
            Judgement::Fail(observed) => (Verdict::Fail, Some(observed)),
            Judgement::NotJudged(reason) => (Verdict::NotJudged, Some(reason)),
        };
        Self {
            text: assertion.text.clone(),
            verdict,
            observed,
        }
    }

    /// Returns the result of an assertion that the exercise did not reach.
    pub(crate) fn not_reached(assertion: &Assertion) -> Self {
        Self {
            text: assertion.text.clone(),
            verdict: Verdict::NotJudged,
            observed: None,
        }
    }

    /// Prints one line, and a second one with what was observed.
    pub(crate) fn print(&self, transcript: &mut Transcript<'_>) -> io::Result<()> {
        transcript.verdict(self.verdict, &self.text)?;
        match &self.observed {
            Some(observed) => transcript.line(&format!("      {observed}")),
            None => Ok(()),
        }
    }
}

impl Report {
    /// Returns a report without an assertion that was reached.
    pub(crate) fn without_results(
        exercise: &Exercise,
        engine: &str,
        namespace: &str,
        verdict: Verdict,
        reason: Option<String>,
    ) -> Self {
        let assertions = exercise.assertions().map(AssertionResult::not_reached);
        Self {
            exercise: exercise.name.clone(),
            engine: engine.to_owned(),
            namespace: namespace.to_owned(),
            verdict,
            reason,
            outages: Vec::new(),
            assertions: assertions.collect(),
        }
    }

    /// Returns the verdict on an exercise that ran to its last step.
    pub(crate) fn combined_verdict(assertions: &[AssertionResult]) -> Verdict {
        let has = |verdict| assertions.iter().any(|result| result.verdict == verdict);
        if has(Verdict::Fail) {
            Verdict::Fail
        } else if has(Verdict::NotJudged) {
            Verdict::NotJudged
        } else {
            Verdict::Pass
        }
    }

    /// Prints the verdict, its reason, and each assertion that did not pass.
    pub(crate) fn print(&self, transcript: &mut Transcript<'_>) -> io::Result<()> {
        transcript.note(&format!("Result of {} ({})", self.exercise, self.engine))?;
        if let Some(reason) = &self.reason {
            transcript.line(&format!("stopped: {reason}"))?;
        }
        let results = self.assertions.iter();
        for result in results.filter(|result| result.verdict != Verdict::Pass) {
            result.print(transcript)?;
        }
        transcript.verdict(self.verdict, &self.summary())
    }

    /// Returns the number of passed assertions, or the reason why the exercise was skipped, in one line.
    pub(crate) fn summary(&self) -> String {
        let passed = self.assertions.iter();
        let passed = passed.filter(|result| result.verdict == Verdict::Pass);
        let counts = format!(
            "{} of {} assertions passed",
            passed.count(),
            self.assertions.len()
        );
        match (&self.reason, self.verdict) {
            (Some(reason), Verdict::Skipped) => reason.clone(),
            _ => counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(verdict: Verdict) -> AssertionResult {
        let observed =
            (verdict == Verdict::Fail).then(|| "restarts: expected [1], observed [0]".to_owned());
        AssertionResult {
            text: "The pod was restarted.".to_owned(),
            verdict,
            observed,
        }
    }

    #[test]
    fn combined_verdict_is_the_worst_of_the_assertions() {
        let (pass, fail, not_judged) = (Verdict::Pass, Verdict::Fail, Verdict::NotJudged);
        for (assertions, expected) in [
            (&[pass, pass][..], pass),
            (&[pass, not_judged], not_judged),
            (&[not_judged, fail, pass], fail),
        ] {
            let results: Vec<_> = assertions.iter().copied().map(result).collect();
            assert_eq!(Report::combined_verdict(&results), expected);
        }
    }

    #[test]
    fn printed_report_shows_the_reason_and_the_contradicting_observation() {
        let report = Report {
            exercise: "liveness".to_owned(),
            engine: "cluster".to_owned(),
            namespace: "default".to_owned(),
            verdict: Verdict::Fail,
            reason: Some("timed out after 60 s waiting for a restart".to_owned()),
            outages: Vec::new(),
            assertions: [Verdict::Pass, Verdict::Fail, Verdict::NotJudged]
                .map(result)
                .into(),
        };
        let mut out = Vec::new();
        report.print(&mut Transcript::new(&mut out)).unwrap();
        let expected = "\n# Result of liveness (cluster)\nstopped: timed out after 60 s waiting for a restart\n\
                        FAIL  The pod was restarted.\n      restarts: expected [1], observed [0]\n\
                        NOT JUDGED  The pod was restarted.\nFAIL  1 of 3 assertions passed\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
