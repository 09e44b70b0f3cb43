//! Memory that the bodies of one door may take together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that are left.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<AtomicUsize>,
}

/// What one request took of the budget; given back when it is dropped.
#[derive(Debug)]
pub struct Held {
    left: Arc<AtomicUsize>,
    bytes: AtomicUsize,
}

impl Budget {
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { left: Arc::new(AtomicUsize::new(bytes)) }
    }

    #[must_use]
    pub fn hold(&self) -> Held {
        Held { left: Arc::clone(&self.left), bytes: AtomicUsize::new(0) }
    }

    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}

impl Held {
    /// Takes more, unless there is less left.
    pub fn grow(&self, bytes: usize) -> bool {
        let taken = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes));
        if taken.is_ok() {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        taken.is_ok()
    }

    /// Gives some back.
    pub fn shrink(&self, bytes: usize) {
        let bytes = bytes.min(self.bytes.load(Ordering::Relaxed));
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.left.fetch_add(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn what_is_held_comes_back() {
        let budget = Budget::new(10);
        let (first, second) = (budget.hold(), budget.hold());
        assert!(first.grow(6) && !second.grow(5) && second.grow(4));
        assert_eq!(budget.left(), 0);
        first.shrink(2);
        assert_eq!(budget.left(), 2);
        drop(first);
        assert_eq!(budget.left(), 6);
        drop(second);
        assert_eq!(budget.left(), 10);
    }
}
