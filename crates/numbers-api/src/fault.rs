//! Injected faults: target endpoint, trigger and effect.
//!
//! A [`Rule`] is written `TARGET:TRIGGER:EFFECT`, for example `livez:next=3:hang`. The first rule of a target that fires
//! determines the effect.

mod rule;
mod schedule;

pub(crate) use self::rule::TARGETS;
pub use self::{
    rule::{Effect, ParseRuleError, Rule, Target, Trigger},
    schedule::Faults,
};
