//! Which objects a list or a watch is about: label and field selectors.
//!
//! Source of the grammar: the Kubernetes documentation, "Labels and Selectors" and "Field Selectors".

use serde_json::Value;

use super::{Failure, query::Query};
use crate::kinds::Kind;

/// What both selectors of a request ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
    Greater(String, i64),
    Less(String, i64),
}

impl Selector {
    pub(super) fn of(query: &Query) -> Result<Self, Failure> {
        Ok(Self {
            labels: labels(query.get("labelSelector").unwrap_or_default())?,
            fields: fields(query.get("fieldSelector").unwrap_or_default())?,
        })
    }

    /// Whether everything matches.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether fields are named that `kind` cannot be selected by.
    pub(super) fn check(&self, kind: &Kind) -> Result<(), Failure> {
        let known = (kind.field_selectors)(&Value::Null);
        let is_known = |field: &str| {
            field == "metadata.name"
                || field == "metadata.namespace"
                || known.iter().any(|(name, _)| *name == field)
        };
        match self.fields.iter().find(|(field, ..)| !is_known(field)) {
            Some((field, ..)) => Err(Failure::bad_request(format!(
                "Unable to find \"{}, Resource={}\" that match label selector \"\", field selector {field:?}: \
                 field label not supported: {field}",
                kind.api_version(),
                kind.plural
            ))),
            None => Ok(()),
        }
    }

    /// Also selects by name: a watch of one object is a watch of the list with one name.
    pub(super) fn named(mut self, name: Option<&str>) -> Self {
        self.fields
            .extend(name.map(|name| ("metadata.name".to_owned(), true, name.to_owned())));
        self
    }

    pub(super) fn matches(&self, kind: &Kind, object: &Value) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.holds(&object["metadata"]["labels"]))
            && (self.fields.is_empty() || self.fields_match(kind, object))
    }

    fn fields_match(&self, kind: &Kind, object: &Value) -> bool {
        let selectable = (kind.field_selectors)(object);
        self.fields.iter().all(|(field, equal, wanted)| {
            let value = match field.as_str() {
                "metadata.name" => object["metadata"]["name"].as_str().unwrap_or_default(),
                "metadata.namespace" => {
                    object["metadata"]["namespace"].as_str().unwrap_or_default()
                }
                other => selectable
                    .iter()
                    .find(|(name, _)| *name == other)
                    .map_or("", |(_, value)| value),
            };
            (value == wanted) == *equal
        })
    }
}

impl Requirement {
    fn holds(&self, labels: &Value) -> bool {
        let value = |key: &str| labels[key].as_str();
        match self {
            Self::In(key, values) => {
                value(key).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Self::NotIn(key, values) => {
                value(key).is_none_or(|value| values.iter().all(|wanted| wanted != value))
            }
            Self::Exists(key) => value(key).is_some(),
            Self::Missing(key) => value(key).is_none(),
            Self::Greater(key, than) => number(value(key)).is_some_and(|number| number > *than),
            Self::Less(key, than) => number(value(key)).is_some_and(|number| number < *than),
        }
    }
}

fn number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

/// Commas separate requirements, except between parentheses.
fn labels(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut depth = 0_u32;
    let parts = text.split(|char| {
        match char {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        char == ',' && depth == 0
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(requirement)
        .collect()
}

fn requirement(text: &str) -> Result<Requirement, Failure> {
    let bad = || {
        Failure::bad_request(format!(
            "unable to parse requirement: {text:?} is no label selector"
        ))
    };
    let key = |text: &str| {
        let text = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        if !text.is_empty() && text.bytes().all(allowed) {
            Ok(text.to_owned())
        } else {
            Err(bad())
        }
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((name, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        return match name.trim().rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(Requirement::In(key(name)?, values)),
            Some((name, "notin")) => Ok(Requirement::NotIn(key(name)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((name, value)) = text.split_once("!=") {
        Ok(Requirement::NotIn(key(name)?, one(value)))
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Ok(Requirement::In(key(name)?, one(value)))
    } else if let Some((name, value)) = text.split_once('>') {
        Ok(Requirement::Greater(
            key(name)?,
            number(Some(value.trim())).ok_or_else(bad)?,
        ))
    } else if let Some((name, value)) = text.split_once('<') {
        Ok(Requirement::Less(
            key(name)?,
            number(Some(value.trim())).ok_or_else(bad)?,
        ))
    } else if let Some(name) = text.strip_prefix('!') {
        Ok(Requirement::Missing(key(name)?))
    } else {
        Ok(Requirement::Exists(key(text)?))
    }
}

fn fields(text: &str) -> Result<Vec<(String, bool, String)>, Failure> {
    let parse = |part: &str| {
        let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('='))
        {
            (field, true, value)
        } else {
            return Err(Failure::bad_request(format!(
                "invalid selector: {part:?}; can't understand it: write FIELD=VALUE or FIELD!=VALUE"
            )));
        };
        Ok((field.trim().to_owned(), equal, value.trim().to_owned()))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(parse)
        .collect()
}

#[cfg(test)]
mod tests;
