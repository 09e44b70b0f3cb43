//! The string table of a block: each text once, found again by its bytes without an allocation.

use ahash::RandomState;

/// Bytes of one text; what is longer is cut.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Texts by the order in which they came; 0 is the empty one.
#[derive(Debug)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    /// Where each text ends; the first is the empty one.
    ends: Vec<usize>,
    /// Ids by hash, linear probing; 0 is a free place. Its length is a power of two.
    places: Vec<u32>,
    hasher: RandomState,
}

const PLACES_MIN: usize = 1024;

impl Default for Strings {
    fn default() -> Self {
        // Random keys: whoever sends logs must not be able to choose texts that collide.
        Self { bytes: Vec::new(), ends: vec![0], places: vec![0; PLACES_MIN], hasher: RandomState::new() }
    }
}

impl Strings {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn get(&self, id: u32) -> &str {
        let end = self.ends.get(id as usize).copied().unwrap_or(0);
        let start = (id as usize).checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        // Only valid UTF-8 is ever added.
        self.bytes.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// The id of a text. What is not UTF-8 is replaced, what is too long is cut.
    pub fn intern(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let text = if text.len() > TEXT_BYTES_MAX { cut(text) } else { text };
        match self.find(text) {
            Ok(id) => id,
            Err(place) => match std::str::from_utf8(text) {
                Ok(_) => self.add(text, place),
                Err(_) => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    self.find(text.as_bytes()).unwrap_or_else(|place| self.add(text.as_bytes(), place))
                }
            },
        }
    }

    /// The id, or the free place where it belongs.
    fn find(&self, text: &[u8]) -> Result<u32, usize> {
        let mask = self.places.len() - 1;
        let mut place = self.hasher.hash_one(text) as usize & mask;
        loop {
            match self.places[place] {
                0 => return Err(place),
                id if self.raw(id) == text => return Ok(id),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn raw(&self, id: u32) -> &[u8] {
        &self.bytes[self.ends[id as usize - 1]..self.ends[id as usize]]
    }

    fn add(&mut self, text: &[u8], place: usize) -> u32 {
        let id = self.ends.len() as u32;
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.places[place] = id;
        if self.ends.len() * 2 > self.places.len() {
            self.grow();
        }
        id
    }

    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 2];
        let mask = self.places.len() - 1;
        for id in 1..self.ends.len() as u32 {
            let mut place = self.hasher.hash_one(self.raw(id)) as usize & mask;
            while self.places[place] != 0 {
                place = (place + 1) & mask;
            }
            self.places[place] = id;
        }
    }
}

/// As much as is kept, cut between two characters.
fn cut(text: &[u8]) -> &[u8] {
    let mut end = TEXT_BYTES_MAX;
    // A continuation byte belongs to the character before it.
    while end > TEXT_BYTES_MAX - 4 && text[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_id() {
        let mut strings = Strings::default();
        assert_eq!((strings.intern(b""), strings.intern(b"a"), strings.intern(b"b"), strings.intern(b"a")), (0, 1, 2, 1));
        assert_eq!((strings.get(0), strings.get(1), strings.get(2), strings.get(9)), ("", "a", "b", ""));
        let ids: Vec<u32> = (0..10_000).map(|n| strings.intern(format!("text {n}").as_bytes())).collect();
        let again: Vec<u32> = (0..10_000).map(|n| strings.intern(format!("text {n}").as_bytes())).collect();
        assert_eq!(ids, again);
        assert_eq!((strings.get(ids[9_999]), strings.len()), ("text 9999", 10_003));
    }

    #[test]
    fn what_is_no_text_becomes_one() {
        let mut strings = Strings::default();
        let id = strings.intern(b"a\xffb");
        assert_eq!(strings.intern(b"a\xffb"), id);
        assert_eq!(strings.get(id), "a\u{fffd}b");
        let long = "é".repeat(TEXT_BYTES_MAX);
        let id = strings.intern(&long.as_bytes()[1..]);
        assert!(strings.get(id).len() <= TEXT_BYTES_MAX + 3);
        let id = strings.intern(format!("x{long}").as_bytes());
        assert_eq!(strings.get(id).len(), TEXT_BYTES_MAX - 1);
    }
}
