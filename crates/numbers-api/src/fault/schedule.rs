//! Decides at each call whether a fault strikes.
//!
//! The decision is a function of the seed, the rule, the number of the call and the time since the rule was set:
//! the same seed gives the same run, whatever the calls' timing or order of arrival.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::{Effect, Rule, Target, Trigger};

/// The rules in force.
#[derive(Debug)]
pub struct Faults {
    seed: u64,
    armed: Mutex<Vec<Armed>>,
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    since: Instant,
    calls: u64,
}

impl Faults {
    /// Arms `rules` now.
    #[must_use]
    pub fn new(seed: u64, rules: &[Rule]) -> Self {
        Self {
            seed,
            armed: Mutex::new(rules.iter().copied().map(arm).collect()),
        }
    }

    /// Counts one call of `target` and says what should go wrong with it.
    pub fn call(&self, target: Target) -> Option<Effect> {
        let mut struck = None;
        for armed in self
            .lock()
            .iter_mut()
            .filter(|armed| armed.rule.target == target)
        {
            armed.calls += 1;
            if struck.is_none() && armed.fires(self.seed) {
                struck = Some(armed.rule.effect);
            }
        }
        struck
    }

    /// Replaces every rule of `target`; `None` leaves it without.
    pub fn set(&self, target: Target, rule: Option<Rule>) {
        let mut armed = self.lock();
        armed.retain(|known| known.rule.target != target);
        armed.extend(rule.map(arm));
    }

    /// The rules in force, in order.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().iter().map(|armed| armed.rule).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn arm(rule: Rule) -> Armed {
    Armed {
        rule,
        since: Instant::now(),
        calls: 0,
    }
}

impl Armed {
    /// Whether the call counted last is struck.
    fn fires(&self, seed: u64) -> bool {
        match self.rule.trigger {
            Trigger::Always => true,
            Trigger::AfterCalls(calls) => self.calls > calls,
            Trigger::After(time) => self.since.elapsed() >= time,
            Trigger::Next(calls) => self.calls <= calls,
            Trigger::Percent(percent) => {
                let stream = seed ^ (self.rule.target as u64) << 56;
                mix(stream.wrapping_add(self.calls)) % 100 < u64::from(percent)
            }
        }
    }
}

/// The finalizer of SplitMix64: every bit of the input changes half of the output's.
/// A generator of a library may change its stream with a release; a lesson's seed must not.
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

    fn struck(faults: &Faults, calls: usize) -> Vec<bool> {
        (0..calls)
            .map(|_| faults.call(Target::Livez).is_some())
            .collect()
    }

    #[track_caller]
    fn check(rule: &str, expected: [bool; 4]) {
        assert_eq!(struck(&faults(1, &[rule]), 4), expected, "{rule}");
    }

    #[tokio::test]
    async fn counts_are_exact() {
        check("livez:always:fail", [true; 4]);
        check("livez:after-calls=0:fail", [true; 4]);
        check("livez:after-calls=2:fail", [false, false, true, true]);
        check("livez:next=0:fail", [false; 4]);
        check("livez:next=3:fail", [true, true, true, false]);
        check("livez:percent=0:fail", [false; 4]);
        check("livez:percent=100:fail", [true; 4]);
        check("readyz:always:fail", [false; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_strikes_from_its_very_moment_on() {
        let faults = faults(1, &["livez:after=30s:fail"]);
        tokio::time::advance(Duration::from_millis(29_999)).await;
        assert_eq!(faults.call(Target::Livez), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(faults.call(Target::Livez), Some(Effect::Fail));
    }

    #[test]
    fn the_same_seed_strikes_the_same_calls_and_another_seed_others() {
        let run = |seed| struck(&faults(seed, &["livez:percent=50:fail"]), 64);
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn a_percentage_is_kept_in_the_long_run() {
        let hits = struck(&faults(42, &["livez:percent=20:fail"]), 10_000);
        let hits = hits.into_iter().filter(|hit| *hit).count();
        assert!((1_900..=2_100).contains(&hits), "{hits}");
    }

    #[test]
    fn the_first_rule_that_fires_decides_and_all_of_them_count() {
        let faults = faults(1, &["livez:next=1:hang", "livez:after-calls=1:fail"]);
        assert_eq!(faults.call(Target::Livez), Some(Effect::Hang));
        assert_eq!(faults.call(Target::Livez), Some(Effect::Fail));
    }

    #[test]
    fn setting_a_target_replaces_its_rules_and_no_other() {
        let faults = faults(1, &["livez:always:hang", "readyz:always:fail"]);
        faults.set(Target::Livez, Some("livez:always:fail".parse().unwrap()));
        assert_eq!(faults.call(Target::Livez), Some(Effect::Fail));
        faults.set(Target::Livez, None);
        assert_eq!(faults.call(Target::Livez), None);
        assert_eq!(faults.call(Target::Readyz), Some(Effect::Fail));
    }
}
