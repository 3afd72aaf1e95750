//! Problems of a configuration with line, field and message.

use std::fmt;

use probe::spec::field::FieldError;

use super::lines::LineMap;

/// A problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// Line number, starting at 1. `None` if the text does not contain the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// Path of the field, such as `targets[0].livenessProbe.successThreshold`; empty for the complete text.
    pub field: String,
    /// Description.
    pub message: String,
}

/// All problems of an invalid configuration; not empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Name of the file.
    pub file: String,
    /// Problems in the order of their lines.
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

/// Collects problems during parsing.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    type_errors: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.found.push(Problem {
            line: None,
            field: field.into(),
            message: message.into(),
        });
    }

    /// Adds a value of a wrong type.
    pub(crate) fn push_type_error(&mut self, field: String, message: String) {
        self.type_errors += 1;
        self.push(field, message);
    }

    /// Returns `true` if there is a problem of this field.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.found.iter().any(|problem| problem.field == field)
    }

    /// Returns the number of values of a wrong type.
    pub(crate) fn type_errors(&self) -> usize {
        self.type_errors
    }

    /// Adds a problem of a line instead of a field.
    pub(crate) fn push_at(&mut self, line: Option<usize>, message: String) {
        self.found.push(Problem {
            line,
            field: String::new(),
            message,
        });
    }

    pub(crate) fn push_field_error(&mut self, error: &FieldError) {
        self.push(error.field.clone(), error.cause());
    }

    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Returns the problems that were found in `text`, if any. Lines are determined only then, because the map needs more
    /// memory than the text.
    pub(crate) fn into_result(self, file: &str, text: &str) -> Result<(), ConfigError> {
        let mut problems = self.found;
        if problems.is_empty() {
            return Ok(());
        }
        let lines = LineMap::read(text);
        for problem in &mut problems {
            problem.line = problem.line.or_else(|| lines.line_of(&problem.field));
        }
        problems.sort_by_key(|problem| problem.line);
        Err(ConfigError {
            file: file.to_owned(),
            problems,
        })
    }
}
