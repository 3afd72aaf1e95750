//! The comparison, for people and for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{Difference, Differs};
use crate::exit::Exit;
use crate::recording::Recording;

/// Everything that was compared.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Comparison {
    /// Each exercise that both have.
    pub(super) exercises: Vec<Compared>,
    /// Exercises that one side has no recording of.
    pub(super) missing: Vec<(String, Side)>,
    /// Known differences that were not found.
    pub(super) stale: Vec<String>,
}

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    First,
    Second,
}

/// One exercise compared.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    exercise: String,
    first: Engine,
    second: Engine,
    /// How many changes, events and rows the first has.
    entries: usize,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Engine {
    engine: String,
    version: String,
}

impl Engine {
    fn of(recording: &Recording) -> Self {
        Self {
            engine: recording.engine.clone(),
            version: recording.version.clone(),
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
            recording
                .stopped
                .as_ref()
                .map(|what| format!("stopped: {what}"))
        };
        if stopped(first) != stopped(second) {
            differences.push(Difference {
                subject: "exercise".to_owned(),
                kind: Differs::Words,
                first: stopped(first),
                second: stopped(second),
                known: None,
            });
        }
        self.exercises.push(Compared {
            exercise: first.exercise.clone(),
            first: Engine::of(first),
            second: Engine::of(second),
            entries: first.subjects.values().map(Vec::len).sum(),
            differences,
        });
    }

    /// Whether everything that differs is known, and whether there was anything to compare.
    pub(crate) fn exit(&self) -> Exit {
        let mut differences = self
            .exercises
            .iter()
            .flat_map(|compared| &compared.differences);
        if self.exercises.is_empty() {
            Exit::Error
        } else if differences.any(|difference| difference.known.is_none()) {
            Exit::Failed
        } else {
            Exit::Passed
        }
    }

    /// Prints it for a person: what is unknown one by one, what is known once for each reason.
    pub(crate) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for compared in &self.exercises {
            compared.print(out)?;
        }
        for (exercise, side) in &self.missing {
            let side = if *side == Side::First {
                "first"
            } else {
                "second"
            };
            writeln!(
                out,
                "{exercise}: not compared, the {side} has no recording of it"
            )?;
        }
        for entry in &self.stale {
            writeln!(out, "known, but not found here: {entry}")?;
        }
        let all = self
            .exercises
            .iter()
            .flat_map(|compared| &compared.differences);
        let known = all
            .clone()
            .filter(|difference| difference.known.is_some())
            .count();
        let unknown = all.count() - known;
        writeln!(out, "{unknown} unknown and {known} known differences")
    }
}

impl Compared {
    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let (first, second) = (&self.first, &self.second);
        writeln!(out, "== {}: {} entries", self.exercise, self.entries)?;
        writeln!(out, "- {} ({})", first.engine, first.version)?;
        writeln!(out, "+ {} ({})", second.engine, second.version)?;
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        for difference in &self.differences {
            match &difference.known {
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
            Differs::Words => "differs",
            Differs::Time => "differs in time",
            Differs::Count => "differs in number",
        };
        writeln!(out, "{} {kind}:", self.subject)?;
        for (sign, text) in [('-', &self.first), ('+', &self.second)] {
            writeln!(out, "  {sign} {}", text.as_deref().unwrap_or("(nothing)"))?;
        }
        Ok(())
    }
}
