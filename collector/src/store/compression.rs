//! Compresses blocks with contexts that are used again: making one costs more than most blocks.

use std::io;

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

/// Contexts that are kept for each of the two ways; each holds about a megabyte.
const CONTEXTS_MAX: usize = 4;
/// Contexts of higher levels are larger, and seldom needed.
const LEVEL_KEPT_MAX: i32 = 3;

static COMPRESSORS: Mutex<Vec<(i32, Compressor<'static>)>> = Mutex::new(Vec::new());
static DECOMPRESSORS: Mutex<Vec<Decompressor<'static>>> = Mutex::new(Vec::new());

/// One frame of zstd.
///
/// # Errors
/// When there is no memory for it.
pub fn compress(raw: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let kept = {
        let mut kept = COMPRESSORS.lock();
        kept.iter().position(|(of, _)| *of == level).map(|index| kept.swap_remove(index).1)
    };
    let mut compressor = kept.map_or_else(|| Compressor::new(level), Ok)?;
    let packed = compressor.compress(raw);
    if level <= LEVEL_KEPT_MAX {
        let mut kept = COMPRESSORS.lock();
        if kept.len() == CONTEXTS_MAX {
            kept.remove(0);
        }
        kept.push((level, compressor));
    }
    packed
}

/// What is in a frame, which has at most `length_max` bytes.
///
/// # Errors
/// When it is no frame, has more, or there is no memory for it.
pub fn decompress(packed: &[u8], length_max: usize) -> io::Result<Vec<u8>> {
    let kept = DECOMPRESSORS.lock().pop();
    let mut decompressor = kept.map_or_else(Decompressor::new, Ok)?;
    let raw = decompressor.decompress(packed, length_max);
    let mut kept = DECOMPRESSORS.lock();
    if kept.len() < CONTEXTS_MAX {
        kept.push(decompressor);
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_of_all_levels_give_back_what_they_took() {
        let raw: Vec<u8> = (0..100_000u32).flat_map(|number| (number % 1000).to_le_bytes()).collect();
        for level in [1, 3, 6, 1, 2, 4, 3, 1] {
            let packed = compress(&raw, level).unwrap();
            assert!(packed.len() < raw.len() / 10);
            assert_eq!(decompress(&packed, raw.len()).unwrap(), raw);
            assert!(decompress(&packed, raw.len() - 1).is_err());
        }
        assert!(COMPRESSORS.lock().len() <= CONTEXTS_MAX && DECOMPRESSORS.lock().len() <= CONTEXTS_MAX);
    }
}
