//! A column of byte strings: each is written once, and then pointed at.

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::super::block::CorruptBlock;
use super::wire::{Reader, put, put_bytes, text};

/// Builds a column. A string that is new is coded as 0, one that was seen by how many were new since: what comes again soon
/// is small.
pub struct Dictionary<K> {
    ids: HashMap<K, u32, ahash::RandomState>,
    codes: Vec<u8>,
    lengths: Vec<u8>,
    heap: Vec<u8>,
    last: Option<(K, u32)>,
}

impl<K> Default for Dictionary<K> {
    fn default() -> Self {
        let (codes, lengths, heap) = Default::default();
        Self { ids: HashMap::default(), codes, lengths, heap, last: None }
    }
}

impl<K: Borrow<[u8]> + Eq + Hash + Clone> Dictionary<K> {
    /// Adds a row; its id, and whether it is new.
    pub fn push(&mut self, bytes: &[u8], own: impl FnOnce() -> K) -> (u32, bool) {
        if let Some((last, id)) = &self.last
            // Texts that come again and again are shared: one look at the address saves one at what is there.
            && (std::ptr::eq(last.borrow(), bytes) || last.borrow() == bytes)
        {
            let id = *id;
            put(&mut self.codes, self.ids.len() as u64 - u64::from(id));
            return (id, false);
        }
        let (id, key, is_new) = match self.ids.get_key_value(bytes) {
            Some((key, id)) => (*id, key.clone(), false),
            None => (self.ids.len() as u32, own(), true),
        };
        if is_new {
            put(&mut self.codes, 0);
            put(&mut self.lengths, bytes.len() as u64);
            self.heap.extend_from_slice(bytes);
            self.ids.insert(key.clone(), id);
        } else {
            put(&mut self.codes, self.ids.len() as u64 - u64::from(id));
        }
        self.last = Some((key, id));
        (id, is_new)
    }

    /// All strings that are new, one after the other.
    pub fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// Three sections.
    pub fn write(&self, out: &mut Vec<u8>) {
        for section in [&self.codes, &self.lengths, &self.heap] {
            put_bytes(out, section);
        }
    }
}

/// A column that was read.
pub struct Texts<'a> {
    /// Of each row, a place in `entries`.
    pub ids: Vec<u32>,
    pub entries: Vec<&'a [u8]>,
    /// Filled when first asked for, and shared by all rows.
    shared: Vec<OnceCell<Arc<str>>>,
}

impl<'a> Texts<'a> {
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, CorruptBlock> {
        let codes = Reader(reader.bytes()?).numbers()?;
        let lengths = Reader(reader.bytes()?).numbers()?;
        let mut heap = Reader(reader.bytes()?);
        let mut entries = Vec::with_capacity(lengths.len());
        for length in lengths {
            let length = usize::try_from(length).map_err(|_| CorruptBlock("a text is too long"))?;
            entries.push(heap.take(length)?);
        }
        let mut new = 0u64;
        let mut ids = Vec::with_capacity(codes.len());
        for code in codes {
            if code == 0 {
                new += 1;
            }
            let id = new.checked_sub(code.max(1)).ok_or(CorruptBlock("a text points before the first"))?;
            ids.push(id as u32);
        }
        if new != entries.len() as u64 {
            return Err(CorruptBlock("texts are missing"));
        }
        let shared = vec![OnceCell::new(); entries.len()];
        Ok(Self { ids, entries, shared })
    }

    pub fn id(&self, row: usize) -> Result<u32, CorruptBlock> {
        self.ids.get(row).copied().ok_or(CorruptBlock("a column is too short"))
    }

    pub fn bytes(&self, row: usize) -> Result<&'a [u8], CorruptBlock> {
        let id = self.id(row)?;
        self.entries.get(id as usize).copied().ok_or(CorruptBlock("a text is missing"))
    }

    pub fn text(&self, row: usize) -> Result<&'a str, CorruptBlock> {
        text(self.bytes(row)?)
    }

    pub fn shared(&self, row: usize) -> Result<Arc<str>, CorruptBlock> {
        let id = self.id(row)?;
        let cell = self.shared.get(id as usize).ok_or(CorruptBlock("a text is missing"))?;
        if let Some(shared) = cell.get() {
            return Ok(Arc::clone(shared));
        }
        let shared: Arc<str> = Arc::from(self.text(row)?);
        Ok(Arc::clone(cell.get_or_init(|| shared)))
    }
}
