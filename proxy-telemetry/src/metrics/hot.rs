//! Each thread's own memory of the series it uses, so that a known request takes no lock and allocates nothing.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;

use super::Series;
use crate::labels::LabelKey;

/// Series one thread remembers; beyond this it forgets all of them and learns anew.
const HOT_MAX: usize = 4096;

/// Moves on whenever a registry gives up series: what threads remember is stale then.
static GENERATION: AtomicU64 = AtomicU64::new(0);

#[derive(Default)]
struct Hot {
    generation: u64,
    series: AHashMap<(u64, LabelKey), Arc<Series>>,
}

thread_local! {
    static HOT: RefCell<Hot> = RefCell::default();
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Makes every thread forget, before its next look-up.
pub(super) fn forget() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

/// Runs `use_series` on the remembered series of a key, or on the one that `find` finds, which is then remembered.
pub(super) fn with_series<R>(
    registry: u64,
    key: LabelKey,
    find: impl FnOnce() -> Option<Arc<Series>>,
    use_series: impl FnOnce(&Arc<Series>) -> R,
) -> Option<R> {
    HOT.with_borrow_mut(|hot| {
        let generation = GENERATION.load(Ordering::SeqCst);
        if hot.generation != generation || hot.series.len() >= HOT_MAX {
            hot.series.clear();
            hot.generation = generation;
        }
        let key = (registry, key);
        if let Some(series) = hot.series.get(&key) {
            return Some(use_series(series));
        }
        let series = find()?;
        let result = use_series(&series);
        hot.series.insert(key, series);
        Some(result)
    })
}

/// Lends the thread's text buffer, empty.
pub(super) fn with_text<R>(body: impl FnOnce(&mut String) -> R) -> R {
    TEXT.with_borrow_mut(|text| {
        text.clear();
        body(text)
    })
}
