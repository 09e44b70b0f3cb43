//! Numbers as bytes: LEB128, and a reader that never trusts a length.

use super::CorruptLog;

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], CorruptLog> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CorruptLog("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, CorruptLog> {
        Ok(self.take(1)?[0])
    }

    pub fn varint(&mut self) -> Result<u64, CorruptLog> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CorruptLog("a number is too long"))
    }

    pub fn signed(&mut self) -> Result<i64, CorruptLog> {
        Ok(unzigzag(self.varint()?))
    }

    /// A count of things that take at least one byte each.
    pub fn count(&mut self) -> Result<usize, CorruptLog> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(count) if count <= self.0.len() => Ok(count),
            _ => Err(CorruptLog("a count is larger than what follows")),
        }
    }
}
