//! Frames of `STREAMED_XOR_CHUNKS`: series in chunks as Prometheus packs them (Facebook's Gorilla), each frame with its
//! length and checksum.

use prost::Message;

use crate::ingest::remote_write::message::Label;
use crate::store::{Sample, SeriesSamples};

/// Samples of a chunk, as many as Prometheus puts into one.
const CHUNK_SAMPLES: usize = 120;
const XOR: i32 = 1;

/// `prometheus.ChunkedReadResponse`.
#[derive(Clone, PartialEq, Message)]
struct ChunkedReadResponse {
    #[prost(message, repeated, tag = "1")]
    chunked_series: Vec<ChunkedSeries>,
    #[prost(int64, tag = "2")]
    query_index: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ChunkedSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    chunks: Vec<Chunk>,
}

#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(int64, tag = "1")]
    min_time_ms: i64,
    #[prost(int64, tag = "2")]
    max_time_ms: i64,
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(bytes = "vec", tag = "4")]
    data: Vec<u8>,
}

/// One frame: length as a varint, CRC-32C of what follows, the message.
pub(super) fn frame(series: &[SeriesSamples], query_index: i64) -> Vec<u8> {
    let message = ChunkedReadResponse { chunked_series: series.iter().map(chunked).collect(), query_index }.encode_to_vec();
    let mut frame = Vec::with_capacity(message.len() + 14);
    put_varint(&mut frame, message.len() as u64);
    frame.extend_from_slice(&crc32c(&message).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

fn chunked(series: &SeriesSamples) -> ChunkedSeries {
    let labels = series.labels.iter().map(|(name, value)| Label { name: name.to_string(), value: value.to_string() });
    ChunkedSeries { labels: labels.collect(), chunks: series.samples.chunks(CHUNK_SAMPLES).map(chunk).collect() }
}

fn chunk(samples: &[Sample]) -> Chunk {
    let time = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.t_ms);
    Chunk { min_time_ms: time(samples.first()), max_time_ms: time(samples.last()), kind: XOR, data: packed(samples) }
}

/// Two bytes with the number of samples, then bits: times as differences of differences, values by what changed.
fn packed(samples: &[Sample]) -> Vec<u8> {
    let mut bits = Bits { bytes: (samples.len() as u16).to_be_bytes().to_vec(), free: 0 };
    let (mut before, mut delta) = (Sample { t_ms: 0, value: 0.0 }, 0u64);
    // No window of significant bits yet.
    let mut window = (0xff_u32, 0_u32);
    for (place, sample) in samples.iter().enumerate() {
        match place {
            0 => {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, zigzag(sample.t_ms));
                bytes.iter().for_each(|byte| bits.put(u64::from(*byte), 8));
                bits.put(sample.value.to_bits(), 64);
            }
            1 => {
                delta = sample.t_ms.wrapping_sub(before.t_ms).cast_unsigned();
                let mut bytes = Vec::new();
                put_varint(&mut bytes, delta);
                bytes.iter().for_each(|byte| bits.put(u64::from(*byte), 8));
                put_value(&mut bits, before.value, sample.value, &mut window);
            }
            _ => {
                let now = sample.t_ms.wrapping_sub(before.t_ms).cast_unsigned();
                put_difference(&mut bits, now.wrapping_sub(delta).cast_signed());
                delta = now;
                put_value(&mut bits, before.value, sample.value, &mut window);
            }
        }
        before = *sample;
    }
    bits.bytes
}

fn put_difference(bits: &mut Bits, difference: i64) {
    let fits = |width: u32| (-((1_i64 << (width - 1)) - 1)..=1_i64 << (width - 1)).contains(&difference);
    let value = difference.cast_unsigned();
    match difference {
        0 => bits.put(0b0, 1),
        _ if fits(14) => bits.put_two(0b10, 2, value, 14),
        _ if fits(17) => bits.put_two(0b110, 3, value, 17),
        _ if fits(20) => bits.put_two(0b1110, 4, value, 20),
        _ => bits.put_two(0b1111, 4, value, 64),
    }
}

/// `window` holds how many bits before and behind those that changed last did not.
fn put_value(bits: &mut Bits, before: f64, value: f64, window: &mut (u32, u32)) {
    let changed = before.to_bits() ^ value.to_bits();
    if changed == 0 {
        return bits.put(0b0, 1);
    }
    bits.put(0b1, 1);
    let (leading, trailing) = (changed.leading_zeros().min(31), changed.trailing_zeros());
    if window.0 != 0xff && leading >= window.0 && trailing >= window.1 {
        bits.put(0b0, 1);
        return bits.put(changed >> window.1, 64 - window.0 - window.1);
    }
    *window = (leading, trailing);
    let significant = 64 - leading - trailing;
    bits.put(0b1, 1);
    bits.put(u64::from(leading), 5);
    // 64 does not fit into six bits, and zero is not needed.
    bits.put(u64::from(significant & 63), 6);
    bits.put(changed >> trailing, significant);
}

/// Bits from the highest of a byte on.
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are not written.
    free: u32,
}

impl Bits {
    /// The lowest `count` bits of a value.
    fn put(&mut self, value: u64, count: u32) {
        for place in (0..count).rev() {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            self.free -= 1;
            if let Some(last) = self.bytes.last_mut() {
                *last |= (((value >> place) & 1) as u8) << self.free;
            }
        }
    }

    fn put_two(&mut self, first: u64, first_count: u32, second: u64, second_count: u32) {
        self.put(first, first_count);
        self.put(second, second_count);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value as u8) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Castagnoli's polynomial, its bits reversed.
const CASTAGNOLI: u32 = 0x82f6_3b78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut place = 0;
    while place < 256 {
        let mut sum = place as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ CASTAGNOLI } else { sum >> 1 };
            bit += 1;
        }
        table[place] = sum;
        place += 1;
    }
    table
};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| (sum >> 8) ^ TABLE[usize::from((sum as u8) ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn bits_stand_from_the_highest_on() {
        let mut bits = Bits { bytes: Vec::new(), free: 0 };
        bits.put(0b101, 3);
        bits.put(0xff, 8);
        assert_eq!(bits.bytes, [0b1011_1111, 0b1110_0000]);
        assert_eq!([zigzag(0), zigzag(-1), zigzag(1), zigzag(i64::MIN)], [0, 1, 2, u64::MAX]);
    }

    #[test]
    fn equal_steps_and_values_take_two_bits() {
        let samples: Vec<Sample> = (0..120).map(|place| Sample { t_ms: place * 15_000, value: 1.0 }).collect();
        // Count, time and value; step and value; 118 times two bits.
        assert_eq!(packed(&samples).len(), 2 + 1 + 8 + 2 + 30);
    }
}
