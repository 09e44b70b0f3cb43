//! Numbers and byte strings of a block, and their reader, which no bytes make panic.

use super::super::block::CorruptBlock;

pub fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Small numbers of either sign are short.
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, zigzag(number));
}

pub fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

pub fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// With its length before it.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of what is left.
#[derive(Clone, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

const CUT_OFF: CorruptBlock = CorruptBlock("it is cut off");

impl<'a> Reader<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> Result<u8, CorruptBlock> {
        let (first, rest) = self.0.split_first().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*first)
    }

    pub fn number(&mut self) -> Result<u64, CorruptBlock> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(CorruptBlock("a number is too long"))
    }

    pub fn signed(&mut self) -> Result<i64, CorruptBlock> {
        self.number().map(unzigzag)
    }

    /// A number that is used as a length or a place.
    pub fn size(&mut self) -> Result<usize, CorruptBlock> {
        usize::try_from(self.number()?).map_err(|_| CorruptBlock("a size is too large"))
    }

    pub fn take(&mut self, length: usize) -> Result<&'a [u8], CorruptBlock> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptBlock> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], CorruptBlock> {
        let length = self.size()?;
        self.take(length)
    }

    pub fn text(&mut self) -> Result<&'a str, CorruptBlock> {
        text(self.bytes()?)
    }

    /// All numbers to the end.
    pub fn numbers(mut self) -> Result<Vec<u64>, CorruptBlock> {
        let mut numbers = Vec::with_capacity(self.0.len());
        while !self.is_empty() {
            numbers.push(self.number()?);
        }
        Ok(numbers)
    }
}

pub fn text(bytes: &[u8]) -> Result<&str, CorruptBlock> {
    std::str::from_utf8(bytes).map_err(|_| CorruptBlock("a text is not UTF-8"))
}

/// The same on every machine and in every version, unlike the hashes of maps.
pub fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in chunks.by_ref() {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        state = mix(state ^ u64::from_le_bytes(word));
    }
    let mut last = [0; 8];
    last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
    mix(state ^ u64::from_le_bytes(last))
}

/// Of MurmurHash3's end.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hashes_stay_as_they_are() {
        assert_eq!(hash(0, b""), 0);
        assert_eq!(hash(1, b"http.method"), hash(1, b"http.method"));
        assert_ne!(hash(1, b"http.method"), hash(2, b"http.method"));
        assert_eq!(hash(7, b"productpage.bookinfo"), EXPECTED);
    }

    const EXPECTED: u64 = 14_364_394_563_046_670_245;

    proptest! {
        #[test]
        fn numbers_come_back(number in any::<u64>(), signed in any::<i64>(), bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_signed(&mut out, signed);
            put_bytes(&mut out, &bytes);
            let mut reader = Reader(&out);
            prop_assert_eq!(reader.number().unwrap(), number);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(reader.bytes().unwrap(), &bytes[..]);
            prop_assert!(reader.is_empty());
        }
    }
}
