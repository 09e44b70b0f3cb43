//! Compresses a block's bytes, unless that does not shrink them.

use super::bytes::{Damaged, Reader, put};
use crate::store::compression::{compress, decompress};

/// Bytes of a block before compression; what claims to be more is damaged.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Appends the length of `raw` and its compressed bytes.
pub fn pack(out: &mut Vec<u8>, raw: &[u8], level: i32) {
    put(out, raw.len() as u64);
    match compress(raw, level) {
        Ok(packed) if packed.len() < raw.len() => {
            out.push(1);
            out.extend_from_slice(&packed);
        }
        // Also when there is no memory for it.
        _ => {
            out.push(0);
            out.extend_from_slice(raw);
        }
    }
}

/// Reads what [`pack`] wrote; `packed` ends with it.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, Damaged> {
    let mut reader = Reader::new(packed);
    let length = reader.count(BYTES_MAX)?;
    let is_packed = reader.byte()? == 1;
    let rest = reader.rest();
    if !is_packed {
        return if rest.len() == length { Ok(rest.to_vec()) } else { Err(Damaged("its length is wrong")) };
    }
    match decompress(rest, length) {
        Ok(raw) if raw.len() == length => Ok(raw),
        _ => Err(Damaged("it cannot be decompressed")),
    }
}
