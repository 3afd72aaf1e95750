//! What a fault is, and how it is written.

use std::{fmt, str::FromStr, time::Duration};

/// The endpoint that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/rng`
    Rng,
    /// `/healthz` and `/health`
    Healthz,
    /// `/livez`
    Livez,
    /// `/readyz`
    Readyz,
    /// `/startupz`
    Startupz,
}

/// When a fault strikes. Calls are counted from the moment the rule is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At every call.
    Always,
    /// At every call after the first so many.
    AfterCalls(u64),
    /// At every call from this time on.
    After(Duration),
    /// At the next so many calls.
    Next(u64),
    /// At so many calls of a hundred, chosen by the seed.
    Percent(u8),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The answer is an error.
    Fail,
    /// There is no answer.
    Hang,
    /// The answer comes late.
    Slow(Duration),
    /// The process exits.
    Crash(u8),
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Where.
    pub target: Target,
    /// When.
    pub trigger: Trigger,
    /// What.
    pub effect: Effect,
}

/// Why a rule cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRuleError {
    /// Not three parts.
    #[error("a fault is TARGET:TRIGGER:EFFECT, for example livez:next=3:hang")]
    Shape,
    /// No such target.
    #[error("unknown target `{0}`: one of rng, healthz, livez, readyz, startupz")]
    Target(String),
    /// No such trigger, or a bad number in it.
    #[error(
        "unknown trigger `{0}`: one of always, after-calls=N, after=TIME, next=N, percent=0..100"
    )]
    Trigger(String),
    /// No such effect, or a bad number in it.
    #[error("unknown effect `{0}`: one of fail, hang, slow=TIME, crash=CODE")]
    Effect(String),
}

const TARGETS: [(Target, &str); 5] = [
    (Target::Rng, "rng"),
    (Target::Healthz, "healthz"),
    (Target::Livez, "livez"),
    (Target::Readyz, "readyz"),
    (Target::Startupz, "startupz"),
];

impl FromStr for Target {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let known = TARGETS.iter().find(|(_, name)| *name == text);
        known
            .map(|(target, _)| *target)
            .ok_or_else(|| ParseRuleError::Target(text.to_owned()))
    }
}

impl FromStr for Trigger {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name {
            "always" if text == name => Some(Self::Always),
            "after-calls" => value.parse().ok().map(Self::AfterCalls),
            "after" => humantime::parse_duration(value).ok().map(Self::After),
            "next" => value.parse().ok().map(Self::Next),
            "percent" => value
                .parse()
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent),
            _ => None,
        }
        .ok_or_else(|| ParseRuleError::Trigger(text.to_owned()))
    }
}

impl FromStr for Effect {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name {
            "fail" if text == name => Some(Self::Fail),
            "hang" if text == name => Some(Self::Hang),
            "slow" => humantime::parse_duration(value).ok().map(Self::Slow),
            "crash" => value.parse().ok().map(Self::Crash),
            _ => None,
        }
        .ok_or_else(|| ParseRuleError::Effect(text.to_owned()))
    }
}

impl FromStr for Rule {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, ParseRuleError> {
        let parts: Vec<_> = text.split(':').collect();
        let [target, trigger, effect] = parts[..] else {
            return Err(ParseRuleError::Shape);
        };
        Ok(Self {
            target: target.parse()?,
            trigger: trigger.parse()?,
            effect: effect.parse()?,
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TARGETS
            .iter()
            .find(|(target, _)| *target == self.target)
            .map_or("", |(_, name)| name);
        write!(f, "{name}:")?;
        match self.trigger {
            Trigger::Always => write!(f, "always:"),
            Trigger::AfterCalls(calls) => write!(f, "after-calls={calls}:"),
            Trigger::After(time) => write!(f, "after={}:", humantime::format_duration(time)),
            Trigger::Next(calls) => write!(f, "next={calls}:"),
            Trigger::Percent(percent) => write!(f, "percent={percent}:"),
        }?;
        match self.effect {
            Effect::Fail => write!(f, "fail"),
            Effect::Hang => write!(f, "hang"),
            Effect::Slow(time) => write!(f, "slow={}", humantime::format_duration(time)),
            Effect::Crash(code) => write!(f, "crash={code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for text in [
            "rng:always:fail",
            "healthz:after-calls=3:hang",
            "livez:after=1m 30s:slow=2s",
            "readyz:next=2:crash=3",
            "startupz:percent=100:fail",
        ] {
            assert_eq!(
                text.parse::<Rule>().map(|rule| rule.to_string()),
                Ok(text.to_owned())
            );
        }
    }

    #[track_caller]
    fn refused(text: &str, word: &str) {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }

    #[test]
    fn what_is_not_a_rule_is_refused_by_the_part_that_is_wrong() {
        refused("", "TARGET:TRIGGER:EFFECT");
        refused("rng:always", "TARGET:TRIGGER:EFFECT");
        refused("rng:always:fail:", "TARGET:TRIGGER:EFFECT");
        refused("metrics:always:fail", "target `metrics`");
        refused("rng:always=1:fail", "trigger `always=1`");
        refused("rng:percent=101:fail", "trigger `percent=101`");
        refused("rng:next=-1:fail", "trigger `next=-1`");
        refused("rng:after=3:fail", "trigger `after=3`");
        refused("rng:always:crash=256", "effect `crash=256`");
        refused("rng:always:hang=1", "effect `hang=1`");
        refused("rng:always:fail=", "effect `fail=`");
        refused("rng:always:explode", "effect `explode`");
    }
}
