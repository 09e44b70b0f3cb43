//! The items of one request after each was looked at: those that are taken, and why the others are not.

use std::collections::BTreeMap;

use super::Reason;
use crate::store::Counts;

/// Bytes of a value or a description; what is longer is cut, and that is counted.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the name of a span, a service or an attribute; what is longer is cut, and that is counted.
pub const NAME_BYTES_MAX: usize = 512;
/// Attributes of one span, event, link or resource; events and links of one span. A span with more is refused.
pub const ENTRIES_MAX: usize = 256;
/// Bytes of one span as it is sent. A larger one is refused.
pub const ITEM_BYTES_MAX: usize = 1024 * 1024;

/// What was in a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged<T> {
    pub items: Vec<T>,
    pub refused: BTreeMap<Reason, u64>,
    /// Texts that were too long.
    pub cut: u64,
    items_max: usize,
}

impl<T> Judged<T> {
    /// Of a request that may have so many items. Further ones are counted only: it will be refused as a whole, and an
    /// item takes many times as much memory as a request needs to name it.
    #[must_use]
    pub fn up_to(items_max: usize) -> Self {
        Self { items: Vec::new(), refused: BTreeMap::new(), cut: 0, items_max }
    }

    /// Makes room for what is announced, as far as it may come.
    pub fn reserve(&mut self, items: usize) {
        self.items.reserve(items.min(self.items_max - self.items.len()));
    }

    pub fn refuse(&mut self, reason: Reason) {
        self.refuse_many(reason, 1);
    }

    pub fn refuse_many(&mut self, reason: Reason, count: u64) {
        *self.refused.entry(reason).or_default() += count;
    }

    pub fn push(&mut self, item: Result<T, Reason>) {
        match item {
            Ok(item) if self.items.len() < self.items_max => self.items.push(item),
            Ok(_) => self.refuse("too_many_items"),
            Err(reason) => self.refuse(reason),
        }
    }

    #[must_use]
    pub fn refused_count(&self) -> u64 {
        self.refused.values().sum()
    }

    #[must_use]
    pub fn received(&self) -> usize {
        self.items.len() + usize::try_from(self.refused_count()).unwrap_or(usize::MAX)
    }

    /// What `GET /api/ingest` adds when the items are stored.
    #[must_use]
    pub fn counts(&self, door: &'static str, signal: &'static str, bytes: usize) -> Counts {
        let mut counts = Counts::default();
        counts.add(door, signal, "received", self.received() as u64);
        counts.add(door, signal, "bytes", bytes as u64);
        for (reason, count) in &self.refused {
            counts.refuse(door, signal, reason, *count);
        }
        counts
    }

    /// For the client: `2 refused (1 bad_trace_id, 1 too_old)`. Empty when nothing was.
    #[must_use]
    pub fn message(&self) -> String {
        match self.refused_count() {
            0 => String::new(),
            count => format!("{count} refused ({})", self.reasons()),
        }
    }

    /// `1 bad_trace_id, 1 too_old`.
    #[must_use]
    pub fn reasons(&self) -> String {
        let reasons: Vec<String> = self.refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        reasons.join(", ")
    }
}

/// The text up to `limit` bytes, and whether it had more.
#[must_use]
pub fn cut(text: &str, limit: usize) -> (&str, bool) {
    if text.len() <= limit { (text, false) } else { (&text[..text.floor_char_boundary(limit)], true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("añb", 3), ("añ", true));
        assert_eq!(cut("añb", 2), ("a", true));
        assert_eq!(cut("añb", 4), ("añb", false));
    }

    #[test]
    fn refusals_are_told_by_reason() {
        let mut judged = Judged::up_to(10);
        judged.push(Ok(1));
        judged.push(Err("too_old"));
        judged.refuse_many("bad_trace_id", 2);
        assert_eq!(judged.message(), "3 refused (2 bad_trace_id, 1 too_old)");
        let counts = judged.counts("zipkin", "spans", 10);
        assert_eq!(counts.total("zipkin", "spans", "received"), 4);
        assert_eq!(counts.total("zipkin", "spans", "refused:bad_trace_id"), 2);
        assert_eq!(Judged::<u8>::up_to(10).message(), "");
    }

    #[test]
    fn what_is_too_much_is_counted_and_not_kept() {
        let mut judged = Judged::up_to(2);
        judged.reserve(usize::MAX);
        (0..5).for_each(|item| judged.push(Ok(item)));
        assert_eq!((judged.items.as_slice(), judged.received()), (&[0, 1][..], 5));
    }
}
