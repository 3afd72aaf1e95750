//! What is wrong with a configuration: where, which field, and why.

use std::fmt;

use probe::spec::field::FieldError;

use super::lines::Lines;

/// One thing wrong.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The line, counted from 1; none where the text has no place for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The field's path: `targets[0].livenessProbe.successThreshold`; empty for the text as a whole.
    pub field: String,
    /// The rest of the sentence.
    pub message: String,
}

/// Everything wrong with a configuration, never nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file's name.
    pub file: String,
    /// In the order of their lines.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&self.file)?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            if !problem.field.is_empty() {
                write!(f, ": {}", problem.field)?;
            }
            write!(f, ": {}", problem.message)?;
        }
        Ok(())
    }
}

/// Collects problems while a configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem {
            line: None,
            field: field.into(),
            message: message.into(),
        });
    }

    pub(crate) fn refuse(&mut self, error: &FieldError) {
        self.add(error.field.clone(), error.cause());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Nothing, or everything that was found in `text`, which is looked through for lines only now: those of a sound one
    /// would take more memory than the text.
    pub(crate) fn end(self, file: &str, text: &str) -> Result<(), ConfigError> {
        let mut problems = self.0;
        if problems.is_empty() {
            return Ok(());
        }
        let lines = Lines::read(text);
        for problem in &mut problems {
            problem.line = lines.of(&problem.field);
        }
        problems.sort_by_key(|problem| problem.line);
        Err(ConfigError {
            file: file.to_owned(),
            problems,
        })
    }
}
