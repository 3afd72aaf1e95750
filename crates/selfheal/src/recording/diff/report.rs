//! Output of a comparison as text and JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Difference, DifferenceKind};
use crate::exit::Exit;
use crate::recording::Recording;

/// Comparison of all exercises.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    /// Exercises that both sides have.
    pub(super) exercises: Vec<ExerciseComparison>,
    /// Exercises that one side has no recording of, with that side.
    pub(super) missing: Vec<(String, Side)>,
    /// Known differences that were not found.
    pub(super) unused: Vec<String>,
}

/// Argument of `compare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    First,
    Second,
}

impl Side {
    const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// Comparison of one exercise.
#[derive(Debug, Serialize)]
pub(crate) struct ExerciseComparison {
    exercise: String,
    first: EngineVersion,
    second: EngineVersion,
    /// Number of the first recording's entries.
    entries: usize,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct EngineVersion {
    engine: String,
    version: String,
}

impl From<&Recording> for EngineVersion {
    fn from(recording: &Recording) -> Self {
        Self {
            engine: recording.engine.clone(),
            version: recording.server_version.clone(),
        }
    }
}

impl Comparison {
    pub(super) fn add(
        &mut self,
        first: &Recording,
        second: &Recording,
        mut differences: Vec<Difference>,
    ) {
        let stopped = |recording: &Recording| {
            let reason = recording.stop_reason.as_ref()?;
            Some(format!("stopped: {reason}"))
        };
        if stopped(first) != stopped(second) {
            differences.push(Difference {
                subject: "exercise".to_owned(),
                kind: DifferenceKind::Text,
                first: stopped(first),
                second: stopped(second),
                known_reason: None,
            });
        }
        self.exercises.push(ExerciseComparison {
            exercise: first.exercise.clone(),
            first: first.into(),
            second: second.into(),
            entries: first.subjects.values().map(Vec::len).sum(),
            differences,
        });
    }

    /// Exit code of `compare`: an unknown difference fails, and nothing to compare is an error.
    pub(crate) fn exit(&self) -> Exit {
        if self.exercises.is_empty() {
            Exit::Error
        } else if self
            .differences()
            .any(|difference| difference.known_reason.is_none())
        {
            Exit::Failed
        } else {
            Exit::Passed
        }
    }

    fn differences(&self) -> impl Iterator<Item = &Difference> {
        let exercises = self.exercises.iter();
        exercises.flat_map(|exercise| &exercise.differences)
    }

    /// Prints the unknown differences, and the number of known ones for each reason.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for exercise in &self.exercises {
            exercise.print(out)?;
        }
        for (exercise, side) in &self.missing {
            let side = side.as_str();
            writeln!(
                out,
                "{exercise}: not compared, the {side} has no recording of it"
            )?;
        }
        for entry in &self.unused {
            writeln!(out, "known, but not found here: {entry}")?;
        }
        let (known, unknown): (Vec<_>, Vec<_>) = self
            .differences()
            .partition(|difference| difference.known_reason.is_some());
        let (known, unknown) = (known.len(), unknown.len());
        writeln!(out, "{unknown} unknown and {known} known differences")
    }
}

impl ExerciseComparison {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let (first, second) = (&self.first, &self.second);
        writeln!(out, "== {}: {} entries", self.exercise, self.entries)?;
        writeln!(out, "- {} ({})", first.engine, first.version)?;
        writeln!(out, "+ {} ({})", second.engine, second.version)?;
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for difference in &self.differences {
            match &difference.known_reason {
                Some(reason) => *known.entry(reason).or_default() += 1,
                None => difference.print(out)?,
            }
        }
        for (reason, count) in known {
            writeln!(out, "known, {count} times: {reason}")?;
        }
        writeln!(out)
    }
}

impl Difference {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let kind = match self.kind {
            DifferenceKind::Text => "differs",
            DifferenceKind::Time => "differs in time",
            DifferenceKind::Count => "differs in number",
        };
        writeln!(out, "{} {kind}:", self.subject)?;
        for (sign, text) in [('-', &self.first), ('+', &self.second)] {
            writeln!(out, "  {sign} {}", text.as_deref().unwrap_or("(no entry)"))?;
        }
        Ok(())
    }
}
