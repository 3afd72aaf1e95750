//! A map that forgets what was used longest ago.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps at most `limit` values.
#[derive(Debug)]
pub(super) struct Cache<K, V> {
    limit: usize,
    uses: u64,
    values: HashMap<K, (u64, V)>,
}

impl<K: Hash + Eq + Clone, V> Cache<K, V> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            uses: 0,
            values: HashMap::new(),
        }
    }

    /// The value under `key`, made where it is missing.
    pub(super) fn entry(&mut self, key: &K, make: impl FnOnce() -> V) -> &mut V {
        if !self.values.contains_key(key) && self.values.len() >= self.limit {
            self.evict();
        }
        self.uses += 1;
        let slot = self
            .values
            .entry(key.clone())
            .or_insert_with(|| (0, make()));
        slot.0 = self.uses;
        &mut slot.1
    }

    /// The value under `key`, if it is still known.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.values.get_mut(key).map(|slot| &mut slot.1)
    }

    fn evict(&mut self) {
        let oldest = self
            .values
            .iter()
            .min_by_key(|(_, (used, _))| *used)
            .map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_used_longest_ago_goes_first() {
        let mut cache = Cache::new(2);
        *cache.entry(&"a", || 0) = 1;
        *cache.entry(&"b", || 0) = 2;
        cache.entry(&"a", || 0);
        cache.entry(&"c", || 3);
        assert_eq!(cache.get_mut(&"a"), Some(&mut 1));
        assert_eq!(cache.get_mut(&"b"), None);
        assert_eq!(cache.get_mut(&"c"), Some(&mut 3));
    }
}
