//! Fault rules and their syntax.

use std::{fmt, str::FromStr, time::Duration};

/// Endpoint of a fault.
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

/// Condition of a fault. Calls are counted from the time at which the rule is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Every call.
    Always,
    /// Every call after the first N.
    AfterCalls(u64),
    /// Every call after this time.
    After(Duration),
    /// The next N calls, at least one.
    Next(u64),
    /// A percentage of calls, selected by the seed.
    Percent(u8),
}

/// Effect of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The response is an error.
    Fail,
    /// No response is sent.
    Hang,
    /// The response is delayed.
    Slow(Duration),
    /// The process exits.
    Crash(u8),
}

/// Fault of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Endpoint that fails.
    pub target: Target,
    /// Calls that fail.
    pub trigger: Trigger,
    /// Failure of these calls.
    pub effect: Effect,
}

/// Error of a rule that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRuleError {
    /// The rule does not have three parts.
    #[error("a fault is TARGET:TRIGGER:EFFECT, for example livez:next=3:hang")]
    Shape,
    /// Unknown target.
    #[error("unknown target `{0}`: one of rng, healthz, livez, readyz, startupz")]
    Target(String),
    /// Unknown trigger, or an invalid number.
    #[error(
        "unknown trigger `{0}`: one of always, after-calls=N, after=TIME, next=N, percent=0..100; N of next is at least 1"
    )]
    Trigger(String),
    /// Unknown effect, or an invalid number.
    #[error("unknown effect `{0}`: one of fail, hang, slow=TIME, crash=CODE")]
    Effect(String),
}

/// Targets and their names.
pub(crate) const TARGETS: [(Target, &str); 5] = [
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
            "next" => value
                .parse()
                .ok()
                .filter(|calls| *calls > 0)
                .map(Self::Next),
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
    fn rule_is_displayed_as_it_is_parsed() {
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
    fn assert_rejected(text: &str, part: &str) {
        let error = text.parse::<Rule>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }

    #[test]
    fn invalid_rule_is_rejected_with_its_invalid_part() {
        assert_rejected("", "TARGET:TRIGGER:EFFECT");
        assert_rejected("rng:always", "TARGET:TRIGGER:EFFECT");
        assert_rejected("rng:always:fail:", "TARGET:TRIGGER:EFFECT");
        assert_rejected("metrics:always:fail", "target `metrics`");
        assert_rejected("rng:always=1:fail", "trigger `always=1`");
        assert_rejected("rng:percent=101:fail", "trigger `percent=101`");
        assert_rejected("rng:next=-1:fail", "trigger `next=-1`");
        assert_rejected("rng:next=0:fail", "trigger `next=0`");
        assert_rejected("rng:after=3:fail", "trigger `after=3`");
        assert_rejected("rng:always:crash=256", "effect `crash=256`");
        assert_rejected("rng:always:hang=1", "effect `hang=1`");
        assert_rejected("rng:always:fail=", "effect `fail=`");
        assert_rejected("rng:always:explode", "effect `explode`");
    }
}
