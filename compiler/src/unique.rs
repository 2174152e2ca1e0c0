//! Lists without equal items, under construction.

use hashbrown::HashTable;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Where each item of a list stands, found by the item itself; the list owns the items.
#[derive(Clone, Debug, Default)]
pub struct Unique {
    positions: HashTable<usize>,
}

impl Unique {
    /// The position of an item in the list that is the same as this one.
    pub fn find<T>(
        &self,
        items: &[T],
        item: &T,
        hash: impl Fn(&T, &mut FxHasher),
        same: impl Fn(&T, &T) -> bool,
    ) -> Option<usize> {
        let mut state = FxHasher::default();
        hash(item, &mut state);
        let found = self
            .positions
            .find(state.finish(), |&position| same(&items[position], item));
        found.copied()
    }

    /// The position of the item in the list, which it joins if none there is the same.
    pub fn add<T>(
        &mut self,
        items: &mut Vec<T>,
        item: T,
        hash: impl Fn(&T, &mut FxHasher),
        same: impl Fn(&T, &T) -> bool,
    ) -> usize {
        let digest = |item: &T| {
            let mut state = FxHasher::default();
            hash(item, &mut state);
            state.finish()
        };
        let entry = self.positions.entry(
            digest(&item),
            |&position| same(&items[position], &item),
            |&position| digest(&items[position]),
        );
        let position = *entry.or_insert(items.len()).get();
        if position == items.len() {
            items.push(item);
        }
        position
    }
}
