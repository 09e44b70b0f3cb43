//! Compresses a block's bytes, with contexts that are used again: making one costs more than most blocks.

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

use super::bytes::{Damaged, Reader, put};

/// Bytes of a block before compression; what claims to be more is damaged.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// Contexts that are kept; each holds about a megabyte.
const CONTEXTS_MAX: usize = 4;

static COMPRESSORS: Mutex<Vec<(i32, Compressor<'static>)>> = Mutex::new(Vec::new());
static DECOMPRESSORS: Mutex<Vec<Decompressor<'static>>> = Mutex::new(Vec::new());

/// Appends the length of `raw` and its compressed bytes.
pub fn pack(out: &mut Vec<u8>, raw: &[u8], level: i32) {
    put(out, raw.len() as u64);
    let kept = {
        let mut kept = COMPRESSORS.lock();
        kept.iter().position(|(of, _)| *of == level).map(|index| kept.swap_remove(index).1)
    };
    let compressor = kept.map_or_else(|| Compressor::new(level), Ok);
    let packed = compressor.and_then(|mut compressor| {
        let packed = compressor.compress(raw);
        let mut kept = COMPRESSORS.lock();
        if kept.len() < CONTEXTS_MAX {
            kept.push((level, compressor));
        }
        packed
    });
    match packed {
        Ok(packed) if packed.len() < raw.len() => {
            out.push(1);
            out.extend_from_slice(&packed);
        }
        // Also what does not shrink.
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
    let kept = DECOMPRESSORS.lock().pop();
    let mut decompressor = kept.map_or_else(Decompressor::new, Ok).map_err(|_| Damaged("there is no memory to read it"))?;
    let raw = decompressor.decompress(rest, length);
    let mut kept = DECOMPRESSORS.lock();
    if kept.len() < CONTEXTS_MAX {
        kept.push(decompressor);
    }
    drop(kept);
    match raw {
        Ok(raw) if raw.len() == length => Ok(raw),
        _ => Err(Damaged("it cannot be decompressed")),
    }
}
