//! Selects the fault of each call.
//!
//! The selection is a function of the seed, the rule, the number of the call and the time since the rule was set: with the
//! same seed the same calls fail, independent of their timing.

use std::sync::Mutex;

use http_service::sync::lock;
use tokio::time::Instant;

use super::{Effect, Rule, Target, Trigger};

/// The active rules.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    rules: Mutex<Vec<ActiveRule>>,
}

#[derive(Debug)]
struct ActiveRule {
    rule: Rule,
    since: Instant,
    calls: u64,
}

impl Faults {
    /// Activates `rules` now.
    #[must_use]
    pub fn new(seed: u64, rules: &[Rule]) -> Self {
        Self {
            seed,
            rules: Mutex::new(rules.iter().copied().map(activate).collect()),
        }
    }

    /// Counts one call of `target` and returns its effect.
    pub fn count_call(&self, target: Target) -> Option<Effect> {
        let mut effect = None;
        for active in lock(&self.rules)
            .iter_mut()
            .filter(|active| active.rule.target == target)
        {
            active.calls += 1;
            if effect.is_none() && active.fires(active.calls, self.seed) {
                effect = Some(active.rule.effect);
            }
        }
        effect
    }

    /// Returns the effect of the next call of `target` if it is made now.
    #[must_use]
    pub fn peek(&self, target: Target) -> Option<Effect> {
        let rules = lock(&self.rules);
        let mut rules = rules.iter().filter(|active| active.rule.target == target);
        let next = rules.find(|active| active.fires(active.calls + 1, self.seed));
        next.map(|active| active.rule.effect)
    }

    /// Replaces every rule of `target`; `None` removes them.
    pub fn set(&self, target: Target, rule: Option<Rule>) {
        let mut rules = lock(&self.rules);
        rules.retain(|active| active.rule.target != target);
        rules.extend(rule.map(activate));
    }

    /// Returns the active rules, in order.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        lock(&self.rules).iter().map(|active| active.rule).collect()
    }
}

fn activate(rule: Rule) -> ActiveRule {
    ActiveRule {
        rule,
        since: Instant::now(),
        calls: 0,
    }
}

impl ActiveRule {
    /// Returns `true` if the call of this number fails, counted from 1 since the rule was set.
    fn fires(&self, call: u64, seed: u64) -> bool {
        match self.rule.trigger {
            Trigger::Always => true,
            Trigger::AfterCalls(calls) => call > calls,
            Trigger::After(time) => self.since.elapsed() >= time,
            Trigger::Next(calls) => call <= calls,
            Trigger::Percent(percent) => {
                let stream = seed ^ (self.rule.target as u64) << 56;
                mix(stream.wrapping_add(call)) % 100 < u64::from(percent)
            }
        }
    }
}

/// Finalizer of SplitMix64: each bit of the input changes half of the bits of the output. A library's generator may
/// change its stream with a release; the meaning of a seed must not change.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Faults, Rule, Target};

    fn faults(seed: u64, rules: &[&str]) -> Faults {
        let rules: Vec<Rule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Faults::new(seed, &rules)
    }

    fn failed_calls(faults: &Faults, calls: usize) -> Vec<bool> {
        (0..calls)
            .map(|_| faults.count_call(Target::Livez).is_some())
            .collect()
    }

    #[track_caller]
    fn check(rule: &str, expected: [bool; 4]) {
        assert_eq!(failed_calls(&faults(1, &[rule]), 4), expected, "{rule}");
    }

    #[tokio::test]
    async fn triggers_count_calls_exactly() {
        check("livez:always:fail", [true; 4]);
        check("livez:after-calls=0:fail", [true; 4]);
        check("livez:after-calls=2:fail", [false, false, true, true]);
        check("livez:next=3:fail", [true, true, true, false]);
        check("livez:percent=0:fail", [false; 4]);
        check("livez:percent=100:fail", [true; 4]);
        check("readyz:always:fail", [false; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn timed_rule_fires_at_its_time() {
        let faults = faults(1, &["livez:after=30s:fail"]);
        tokio::time::advance(Duration::from_millis(29_999)).await;
        assert_eq!(faults.count_call(Target::Livez), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(faults.count_call(Target::Livez), Some(Effect::Fail));
    }

    #[test]
    fn same_seed_fails_the_same_calls() {
        let run = |seed| failed_calls(&faults(seed, &["livez:percent=50:fail"]), 64);
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn percentage_of_calls_fails() {
        let hits = failed_calls(&faults(42, &["livez:percent=20:fail"]), 10_000);
        let hits = hits.into_iter().filter(|hit| *hit).count();
        assert!((1_900..=2_100).contains(&hits), "{hits}");
    }

    #[test]
    fn first_rule_that_fires_decides_and_every_rule_counts() {
        let faults = faults(1, &["livez:next=1:hang", "livez:after-calls=1:fail"]);
        assert_eq!(faults.count_call(Target::Livez), Some(Effect::Hang));
        assert_eq!(faults.count_call(Target::Livez), Some(Effect::Fail));
    }

    #[test]
    fn peek_returns_the_effect_of_the_next_call_without_counting() {
        let faults = faults(1, &["livez:after-calls=1:fail"]);
        for expected in [None, Some(Effect::Fail)] {
            assert_eq!(faults.peek(Target::Livez), expected);
            assert_eq!(faults.peek(Target::Livez), expected);
            assert_eq!(faults.count_call(Target::Livez), expected);
        }
    }

    #[test]
    fn set_replaces_the_rules_of_one_target() {
        let faults = faults(1, &["livez:always:hang", "readyz:always:fail"]);
        faults.set(Target::Livez, Some("livez:always:fail".parse().unwrap()));
        assert_eq!(faults.count_call(Target::Livez), Some(Effect::Fail));
        faults.set(Target::Livez, None);
        assert_eq!(faults.count_call(Target::Livez), None);
        assert_eq!(faults.count_call(Target::Readyz), Some(Effect::Fail));
    }
}
