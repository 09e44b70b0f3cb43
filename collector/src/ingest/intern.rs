//! Keeps the texts that come again and again once: names of attributes, methods, hosts, versions.

use std::sync::Arc;

use parking_lot::Mutex;

/// Texts that are remembered; a new one takes the place of another with the same hash.
const SLOTS: usize = 2048;
/// Longer texts hardly come twice.
const TEXT_BYTES_MAX: usize = 96;
/// Tables that are kept for the next requests; more are in use only while more requests are decoded at once.
const TABLES_MAX: usize = 16;

/// A table of texts. Bounded: a look-up never makes it larger.
pub struct Interner {
    slots: Vec<Option<Arc<str>>>,
    hasher: ahash::RandomState,
    empty: Arc<str>,
}

impl Default for Interner {
    fn default() -> Self {
        Self { slots: vec![None; SLOTS], hasher: ahash::RandomState::new(), empty: Arc::from("") }
    }
}

impl Interner {
    /// The text of these bytes, or `None` when they are no UTF-8.
    pub fn text(&mut self, bytes: &[u8]) -> Option<Arc<str>> {
        match self.known(bytes) {
            Ok(known) => Some(known),
            Err(slot) => Some(self.learn(slot, std::str::from_utf8(bytes).ok()?)),
        }
    }

    /// The same text, shared.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        self.known(text.as_bytes()).unwrap_or_else(|slot| self.learn(slot, text))
    }

    /// The text when it is in the table, or the slot where it may be put.
    fn known(&self, bytes: &[u8]) -> Result<Arc<str>, Option<usize>> {
        if bytes.is_empty() {
            return Ok(Arc::clone(&self.empty));
        }
        if bytes.len() > TEXT_BYTES_MAX {
            return Err(None);
        }
        let slot = self.hasher.hash_one(bytes) as usize % SLOTS;
        match &self.slots[slot] {
            Some(known) if known.as_bytes() == bytes => Ok(Arc::clone(known)),
            _ => Err(Some(slot)),
        }
    }

    fn learn(&mut self, slot: Option<usize>, text: &str) -> Arc<str> {
        let text: Arc<str> = Arc::from(text);
        if let Some(slot) = slot {
            self.slots[slot] = Some(Arc::clone(&text));
        }
        text
    }
}

/// Tables for the requests that are decoded at the same time.
#[derive(Default)]
pub struct Interners {
    idle: Mutex<Vec<Interner>>,
}

impl Interners {
    /// Lends a table to `work`.
    pub fn with<T>(&self, work: impl FnOnce(&mut Interner) -> T) -> T {
        let mut interner = self.idle.lock().pop().unwrap_or_default();
        let result = work(&mut interner);
        let mut idle = self.idle.lock();
        if idle.len() < TABLES_MAX {
            idle.push(interner);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once() {
        let mut interner = Interner::default();
        let first = interner.text(b"http.method").unwrap();
        assert!(Arc::ptr_eq(&first, &interner.text(b"http.method").unwrap()));
        assert_eq!(&*interner.text(&[b'x'; 200]).unwrap(), "x".repeat(200));
        assert_eq!(interner.text(b"\xff"), None);
        assert_eq!(&*interner.text(b"").unwrap(), "");
    }

    #[test]
    fn strangers_do_not_make_it_grow() {
        let mut interner = Interner::default();
        for number in 0..10_000 {
            let text = format!("request-{number}");
            assert_eq!(&*interner.text(text.as_bytes()).unwrap(), text);
        }
        assert_eq!(interner.slots.len(), SLOTS);
    }
}
