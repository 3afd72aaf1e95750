//! Differences that are as they should be: Kubernetes itself changed, or chance is at work. `known.yaml` lists them, each with
//! its reason.

use std::cmp::Ordering;

use anyhow::Context as _;
use regex_lite::Regex;
use serde::Deserialize;

use super::{Difference, Differs};
use crate::recording::Recording;

/// The list.
#[derive(Debug)]
pub(crate) struct Known {
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Why.
    reason: String,
    /// It holds between this version, or one before it; between any two where it is left out …
    old: Option<Version>,
    /// … and this, or one after it.
    new: Option<Version>,
    /// In what the two differ.
    #[serde(default = "words")]
    kind: Differs,
    /// The one exercise that it is about.
    exercise: Option<String>,
    /// What the subject is called.
    subject: Option<Pattern>,
    /// What the older shows; nothing where it is left out.
    was: Option<Pattern>,
    /// What the newer shows; nothing where it is left out.
    is: Option<Pattern>,
    /// Instead of both: what either shows, if it shows anything.
    either: Option<Pattern>,
}

fn words() -> Differs {
    Differs::Words
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

/// The first two numbers of a version.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Version(u32, u32);

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is no version, as 1.36 is"))
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').split('.');
        let mut number = || numbers.next()?.parse().ok();
        Some(Self(number()?, number()?))
    }
}

impl Known {
    /// The program's own list.
    pub(crate) fn own() -> anyhow::Result<Self> {
        Self::parse(include_str!("known.yaml")).context("compare/known.yaml")
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let entries = serde_saphyr::from_str(text)?;
        Ok(Self { entries })
    }

    /// For [`Self::explain`] to note which entries there was a use for.
    pub(super) fn none_used(&self) -> Vec<Use> {
        vec![Use::NotAsked; self.entries.len()]
    }

    /// Gives the differences between two versions their reasons.
    pub(super) fn explain(
        &self,
        differences: &mut [Difference],
        first: &Recording,
        second: &Recording,
        used: &mut [Use],
    ) {
        let versions = (
            Version::parse(&first.version),
            Version::parse(&second.version),
        );
        let exercise = &first.exercise;
        let (Some(first), Some(second)) = versions else {
            return;
        };
        let (older, newer) = (first.min(second), first.max(second));
        for (entry, used) in self.entries.iter().zip(used) {
            let later = entry.old.is_some_and(|old| older > old);
            let other = entry.exercise.as_ref().is_some_and(|name| name != exercise);
            if other || later || entry.new.is_some_and(|new| newer < new) {
                continue;
            }
            *used = (*used).max(Use::None);
            for difference in differences.iter_mut() {
                if difference.known.is_none() && entry.matches(difference, first.cmp(&second)) {
                    difference.known = Some(entry.reason.clone());
                    *used = Use::Some;
                }
            }
        }
    }

    /// The reasons of entries that were about these versions and explained nothing.
    pub(super) fn stale(&self, used: &[Use]) -> Vec<String> {
        let stale = self.entries.iter().zip(used);
        // Chance need not show.
        let stale = stale.filter(|(entry, used)| **used == Use::None && entry.either.is_none());
        stale.map(|(entry, _)| entry.told()).collect()
    }
}

/// What use there was for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It is about other versions.
    NotAsked,
    /// It explained nothing.
    None,
    /// It explained something.
    Some,
}

impl Entry {
    fn matches(&self, difference: &Difference, order: Ordering) -> bool {
        let (first, second) = (difference.first.as_deref(), difference.second.as_deref());
        let (older, newer) = match order {
            Ordering::Greater => (second, first),
            Ordering::Less | Ordering::Equal => (first, second),
        };
        let subject = self.subject.as_ref();
        self.kind == difference.kind
            && subject.is_none_or(|subject| subject.0.is_match(&difference.subject))
            && match &self.either {
                Some(Pattern(pattern)) => {
                    let mut shown = [older, newer].into_iter().flatten();
                    shown.all(|text| pattern.is_match(text))
                }
                None => fits(self.was.as_ref(), older) && fits(self.is.as_ref(), newer),
            }
    }

    fn told(&self) -> String {
        let pattern = |pattern: &Option<Pattern>| match pattern {
            Some(Pattern(pattern)) => pattern.to_string(),
            None => "nothing".to_owned(),
        };
        match &self.either {
            Some(_) => format!("{} ({})", self.reason, pattern(&self.either)),
            None => {
                let (was, is) = (pattern(&self.was), pattern(&self.is));
                format!("{} ({was} / {is})", self.reason)
            }
        }
    }
}

fn fits(pattern: Option<&Pattern>, text: Option<&str>) -> bool {
    match (pattern, text) {
        (Some(Pattern(pattern)), Some(text)) => pattern.is_match(text),
        (None, None) => true,
        _ => false,
    }
}
