//! Faults on purpose: which endpoint, when, and what goes wrong.
//!
//! A [`Rule`] reads `TARGET:TRIGGER:EFFECT`, for example `livez:next=3:hang`. Rules of one target are asked in
//! order and the first that fires decides.

mod rule;
mod schedule;

pub use self::{
    rule::{Effect, ParseRuleError, Rule, Target, Trigger},
    schedule::Faults,
};
