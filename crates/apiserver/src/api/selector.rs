//! Label and field selectors of lists, watches and collection deletions.
//!
//! Source of the grammar: the Kubernetes documentation, "Labels and Selectors" and "Field Selectors".

use serde_json::Value;

use super::{StatusError, query::Query};
use crate::kinds::Kind;

/// Label selector and field selector of a request; an object must match both.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug)]
struct FieldRequirement {
    field: String,
    operator: FieldOperator,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldOperator {
    Equals,
    NotEquals,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum LabelRequirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    DoesNotExist(String),
    GreaterThan(String, i64),
    LessThan(String, i64),
}

impl Selector {
    /// Parses `labelSelector` and `fieldSelector`.
    pub(super) fn from_query(query: &Query) -> Result<Self, StatusError> {
        Ok(Self {
            labels: parse_labels(query.get("labelSelector").unwrap_or_default())?,
            fields: parse_fields(query.get("fieldSelector").unwrap_or_default())?,
        })
    }

    /// Returns `true` if every object matches.
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Fails if `kind` does not support one of the fields.
    pub(super) fn check_fields(&self, kind: &Kind) -> Result<(), StatusError> {
        let known = (kind.field_selectors)(&Value::Null);
        let is_known = |field: &str| {
            field == "metadata.name"
                || field == "metadata.namespace"
                || known.iter().any(|(name, _)| *name == field)
        };
        match self.fields.iter().find(|found| !is_known(&found.field)) {
            Some(FieldRequirement { field, .. }) => Err(StatusError::bad_request(format!(
                "Unable to find \"{}, Resource={}\" that match label selector \"\", field selector {field:?}: \
                 field label not supported: {field}",
                kind.api_version(),
                kind.plural
            ))),
            None => Ok(()),
        }
    }

    /// Adds a requirement for the name: a watch of one object is a watch of the list with that name.
    pub(super) fn with_name(mut self, name: Option<&str>) -> Self {
        self.fields.extend(name.map(|name| FieldRequirement {
            field: "metadata.name".to_owned(),
            operator: FieldOperator::Equals,
            value: name.to_owned(),
        }));
        self
    }

    pub(super) fn matches(&self, kind: &Kind, object: &Value) -> bool {
        self.labels
            .iter()
            .all(|requirement| requirement.matches(&object["metadata"]["labels"]))
            && (self.fields.is_empty() || self.matches_fields(kind, object))
    }

    fn matches_fields(&self, kind: &Kind, object: &Value) -> bool {
        let selectable = (kind.field_selectors)(object);
        self.fields.iter().all(|requirement| {
            let value = match requirement.field.as_str() {
                "metadata.name" => object["metadata"]["name"].as_str().unwrap_or_default(),
                "metadata.namespace" => {
                    object["metadata"]["namespace"].as_str().unwrap_or_default()
                }
                other => selectable
                    .iter()
                    .find(|(name, _)| *name == other)
                    .map_or("", |(_, value)| value),
            };
            match requirement.operator {
                FieldOperator::Equals => value == requirement.value,
                FieldOperator::NotEquals => value != requirement.value,
            }
        })
    }
}

impl LabelRequirement {
    fn matches(&self, labels: &Value) -> bool {
        let value = |key: &str| labels[key].as_str();
        match self {
            Self::In(key, values) => {
                value(key).is_some_and(|value| values.iter().any(|wanted| wanted == value))
            }
            Self::NotIn(key, values) => {
                value(key).is_none_or(|value| values.iter().all(|wanted| wanted != value))
            }
            Self::Exists(key) => value(key).is_some(),
            Self::DoesNotExist(key) => value(key).is_none(),
            Self::GreaterThan(key, limit) => {
                parse_number(value(key)).is_some_and(|number| number > *limit)
            }
            Self::LessThan(key, limit) => {
                parse_number(value(key)).is_some_and(|number| number < *limit)
            }
        }
    }
}

fn parse_number(text: Option<&str>) -> Option<i64> {
    text?.parse().ok()
}

/// Parses a label selector. Commas separate requirements, except between parentheses.
fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, StatusError> {
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
        .map(parse_label_requirement)
        .collect()
}

fn parse_label_requirement(text: &str) -> Result<LabelRequirement, StatusError> {
    let invalid = || {
        StatusError::bad_request(format!(
            "unable to parse requirement: {text:?} is not a label selector"
        ))
    };
    let key = |text: &str| {
        let text = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
        if !text.is_empty() && text.bytes().all(allowed) {
            Ok(text.to_owned())
        } else {
            Err(invalid())
        }
    };
    let single = |value: &str| vec![value.trim().to_owned()];
    if let Some((name, values)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        let values = values
            .split(',')
            .map(|value| value.trim().to_owned())
            .collect();
        return match name.trim().rsplit_once(char::is_whitespace) {
            Some((name, "in")) => Ok(LabelRequirement::In(key(name)?, values)),
            Some((name, "notin")) => Ok(LabelRequirement::NotIn(key(name)?, values)),
            _ => Err(invalid()),
        };
    }
    let limit = |value: &str| parse_number(Some(value.trim())).ok_or_else(invalid);
    if let Some((name, value)) = text.split_once("!=") {
        Ok(LabelRequirement::NotIn(key(name)?, single(value)))
    } else if let Some((name, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        Ok(LabelRequirement::In(key(name)?, single(value)))
    } else if let Some((name, value)) = text.split_once('>') {
        Ok(LabelRequirement::GreaterThan(key(name)?, limit(value)?))
    } else if let Some((name, value)) = text.split_once('<') {
        Ok(LabelRequirement::LessThan(key(name)?, limit(value)?))
    } else if let Some(name) = text.strip_prefix('!') {
        Ok(LabelRequirement::DoesNotExist(key(name)?))
    } else {
        Ok(LabelRequirement::Exists(key(text)?))
    }
}

fn parse_fields(text: &str) -> Result<Vec<FieldRequirement>, StatusError> {
    let parse = |part: &str| {
        let (field, operator, value) = if let Some((field, value)) = part.split_once("!=") {
            (field, FieldOperator::NotEquals, value)
        } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('='))
        {
            (field, FieldOperator::Equals, value)
        } else {
            return Err(StatusError::bad_request(format!(
                "invalid selector: {part:?}; can't understand it: write FIELD=VALUE or FIELD!=VALUE"
            )));
        };
        Ok(FieldRequirement {
            field: field.trim().to_owned(),
            operator,
            value: value.trim().to_owned(),
        })
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(parse)
        .collect()
}

#[cfg(test)]
mod tests;
