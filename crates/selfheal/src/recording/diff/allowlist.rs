//! Known differences: changes between Kubernetes versions, and random ones. `known.yaml` lists them with their reasons.

use std::cmp::Ordering;

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;

use super::{Difference, DifferenceKind};
use crate::recording::Recording;

/// Known differences.
#[derive(Debug)]
pub(crate) struct Allowlist {
    entries: Vec<AllowedDifference>,
}

/// One known difference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedDifference {
    /// Reason of the difference.
    reason: String,
    /// Latest version of the older side; default: any.
    old_version: Option<Version>,
    /// Earliest version of the newer side; default: any.
    new_version: Option<Version>,
    #[serde(default)]
    kind: DifferenceKind,
    /// Name of the exercise; default: all.
    exercise: Option<String>,
    /// Pattern of the subject; default: all.
    subject: Option<Pattern>,
    /// Pattern of the older side's text; without it, the older side has no entry.
    old_pattern: Option<Pattern>,
    /// Pattern of the newer side's text; without it, the newer side has no entry.
    new_pattern: Option<Pattern>,
    /// Pattern of the texts of both sides, each of which may have no entry; instead of the two other patterns.
    any_pattern: Option<Pattern>,
}

/// A regular expression that has to match the whole text.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = regex_lite::Error;

    fn try_from(pattern: String) -> Result<Self, Self::Error> {
        Regex::new(&format!("^(?s:{pattern})$")).map(Self)
    }
}

/// Major and minor version.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Version(u32, u32);

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not a version such as 1.36"))
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self(number()?, number()?))
    }
}

/// Usage of an entry in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Usage {
    /// The entry is for other versions or another exercise.
    NotApplicable,
    /// The entry explained no difference.
    Unused,
    /// The entry explained a difference.
    Used,
}

impl Allowlist {
    /// Parses the list that is part of the program.
    pub(crate) fn included() -> anyhow::Result<Self> {
        Self::parse(include_str!("known.yaml")).context("recording/diff/known.yaml")
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let entries = serde_saphyr::from_str(text)?;
        Ok(Self { entries })
    }

    /// Usage of each entry before a comparison, for [`Self::explain`].
    pub(super) fn initial_usage(&self) -> Vec<Usage> {
        vec![Usage::NotApplicable; self.entries.len()]
    }

    /// Adds the reasons of known differences, and updates the usage of the entries.
    pub(super) fn explain(
        &self,
        differences: &mut [Difference],
        first: &Recording,
        second: &Recording,
        usage: &mut [Usage],
    ) {
        let versions = (
            Version::parse(&first.server_version),
            Version::parse(&second.server_version),
        );
        let exercise = &first.exercise;
        let (Some(first), Some(second)) = versions else {
            return;
        };
        let (older, newer) = (first.min(second), first.max(second));
        for (entry, usage) in self.entries.iter().zip(usage) {
            if !entry.is_applicable(exercise, older, newer) {
                continue;
            }
            *usage = (*usage).max(Usage::Unused);
            for difference in differences.iter_mut() {
                let is_known = difference.known_reason.is_some();
                if !is_known && entry.matches(difference, first.cmp(&second)) {
                    difference.known_reason = Some(entry.reason.clone());
                    *usage = Usage::Used;
                }
            }
        }
    }

    /// Descriptions of applicable entries that explained no difference. Entries with `any_pattern` are random and not listed.
    pub(super) fn unused(&self, usage: &[Usage]) -> Vec<String> {
        let entries = self.entries.iter().zip(usage);
        let unused = entries
            .filter(|(entry, usage)| **usage == Usage::Unused && entry.any_pattern.is_none());
        unused.map(|(entry, _)| entry.description()).collect()
    }
}

impl AllowedDifference {
    fn is_applicable(&self, exercise: &str, older: Version, newer: Version) -> bool {
        self.exercise.as_ref().is_none_or(|name| name == exercise)
            && self.old_version.is_none_or(|old| older <= old)
            && self.new_version.is_none_or(|new| newer >= new)
    }

    /// Returns `true` if the entry explains the difference; `order` is that of the first version to the second.
    fn matches(&self, difference: &Difference, order: Ordering) -> bool {
        let (first, second) = (difference.first.as_deref(), difference.second.as_deref());
        let (older, newer) = match order {
            Ordering::Greater => (second, first),
            Ordering::Less | Ordering::Equal => (first, second),
        };
        let subject = self.subject.as_ref();
        self.kind == difference.kind
            && subject.is_none_or(|subject| subject.0.is_match(&difference.subject))
            && match &self.any_pattern {
                Some(Pattern(pattern)) => {
                    let mut texts = [older, newer].into_iter().flatten();
                    texts.all(|text| pattern.is_match(text))
                }
                None => {
                    matches_entry(self.old_pattern.as_ref(), older)
                        && matches_entry(self.new_pattern.as_ref(), newer)
                }
            }
    }

    fn description(&self) -> String {
        let pattern = |pattern: &Option<Pattern>| match pattern {
            Some(Pattern(pattern)) => pattern.to_string(),
            None => "no entry".to_owned(),
        };
        match &self.any_pattern {
            Some(_) => format!("{} ({})", self.reason, pattern(&self.any_pattern)),
            None => {
                let (old, new) = (pattern(&self.old_pattern), pattern(&self.new_pattern));
                format!("{} ({old} / {new})", self.reason)
            }
        }
    }
}

fn matches_entry(pattern: Option<&Pattern>, text: Option<&str>) -> bool {
    match (pattern, text) {
        (Some(Pattern(pattern)), Some(text)) => pattern.is_match(text),
        (None, None) => true,
        _ => false,
    }
}
