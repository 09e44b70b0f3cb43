//! What a search tells by that it need not read a block: ids, names, durations, failures, and which attributes are not there.

use super::super::block::CorruptBlock;
use super::super::span::{AttributeValue, Attributes};
use super::wire::{Reader, hash, put, put_bytes, put_signed};
use super::{Names, ServiceNames};

/// Bits per entry of the filter of tokens; with [`BLOOM_HASHES`] about one in a hundred is taken for one that is there.
const TOKEN_BITS: usize = 10;
/// Of traces, which are looked for by the hundred at once: one in a thousand.
const TRACE_BITS: usize = 16;
const BLOOM_HASHES: u64 = 7;
/// Bytes of one filter; with more entries it tells less.
const BLOOM_BYTES_MAX: usize = 64 * 1024;
/// Bytes of names of services and operations in one summary; with more it has none, and tells nothing by them.
const NAMES_BYTES_MAX: usize = 16 * 1024;

const VERSION: u8 = 1;
const HAS_ERROR: u8 = 1;
const HAS_SUCCESS: u8 = 2;
const HAS_NAMES: u8 = 4;

/// Seeds of the kinds of tokens.
const NAME: u64 = 1;
const EVENT: u64 = 2;
const REMOTE: u64 = 3;
const VALUE: u64 = 4;
const TRACE: u64 = 5;

/// Hashes of what is in a block.
#[derive(Default)]
pub struct Tokens {
    hashes: Vec<u64>,
    last: u64,
    scratch: String,
}

impl Tokens {
    /// Of the values of an attribute.
    #[allow(clippy::unused_self)]
    pub fn seed(&self, name: &str) -> u64 {
        hash(VALUE, name.as_bytes())
    }

    pub fn add(&mut self, seed: u64, value: &[u8]) {
        self.push(hash(seed, value));
    }

    /// As a search spells it.
    pub fn add_value(&mut self, seed: u64, value: &AttributeValue) {
        use std::fmt::Write;
        match value {
            AttributeValue::Text(text) | AttributeValue::Json(text) => self.add(seed, text.as_bytes()),
            AttributeValue::Bool(flag) => self.add(seed, if *flag { b"true" } else { b"false" }),
            AttributeValue::Int(number) => {
                let mut digits = itoa::Buffer::new();
                self.add(seed, digits.format(*number).as_bytes());
            }
            AttributeValue::Double(_) | AttributeValue::Bytes(_) => {
                let mut text = std::mem::take(&mut self.scratch);
                text.clear();
                // Writing to a string cannot fail.
                let _ = write!(text, "{value}");
                self.add(seed, text.as_bytes());
                self.scratch = text;
            }
        }
    }

    /// Names and values.
    pub fn add_all(&mut self, attributes: &Attributes) {
        for (name, value) in attributes {
            self.add_name(name);
            let seed = self.seed(name);
            self.add_value(seed, value);
        }
    }

    pub fn add_name(&mut self, name: &str) {
        self.push(hash(NAME, name.as_bytes()));
    }

    pub fn add_event(&mut self, name: &[u8]) {
        self.push(hash(EVENT, name));
    }

    pub fn add_remote(&mut self, service: &str) {
        self.push(hash(REMOTE, service.as_bytes()));
    }

    fn push(&mut self, hash: u64) {
        if hash != self.last {
            self.last = hash;
            self.hashes.push(hash);
        }
    }
}

/// What the rows of a block tell for its summary.
#[derive(Default)]
pub struct SummaryBuilder {
    pub tokens: Tokens,
    pub names: Names,
    pub has_error: bool,
    pub has_success: bool,
    /// Smallest and largest, in nanoseconds.
    pub durations: Option<(i64, i64)>,
}

impl SummaryBuilder {
    pub fn duration(&mut self, duration_ns: i64) {
        let (min, max) = self.durations.get_or_insert((duration_ns, duration_ns));
        *min = (*min).min(duration_ns);
        *max = (*max).max(duration_ns);
    }

    /// `trace_ids` are all of the block, each once.
    pub fn encode<'a>(&self, trace_ids: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
        let mut out = trace_filter(trace_ids);
        let names = self.encode_names();
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.push(VERSION);
        out.push(flag(self.has_error, HAS_ERROR) | flag(self.has_success, HAS_SUCCESS) | flag(names.is_some(), HAS_NAMES));
        let (min, max) = self.durations.unwrap_or_default();
        put_signed(&mut out, min);
        put_signed(&mut out, max);
        put_bytes(&mut out, &bloom(self.tokens.hashes.clone(), TOKEN_BITS));
        put_bytes(&mut out, &names.unwrap_or_default());
        out
    }

    fn encode_names(&self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        put(&mut out, self.names.len() as u64);
        for (service, ServiceNames { operations, .. }) in &self.names {
            put_bytes(&mut out, service.as_bytes());
            put(&mut out, operations.len() as u64);
            for operation in operations.keys() {
                put_bytes(&mut out, operation.as_bytes());
            }
            if out.len() > NAMES_BYTES_MAX {
                return None;
            }
        }
        Some(out)
    }
}

/// The begin of a summary, which tells of traces: smallest and largest id, and a filter.
pub fn trace_filter<'a>(trace_ids: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(trace_ids.clone().min().unwrap_or(&[0; 16]));
    out.extend_from_slice(trace_ids.clone().max().unwrap_or(&[0; 16]));
    put_bytes(&mut out, &bloom(trace_ids.map(|id| hash(TRACE, id)).collect(), TRACE_BITS));
    out
}

fn bloom(mut hashes: Vec<u64>, bits_each: usize) -> Vec<u8> {
    hashes.sort_unstable();
    hashes.dedup();
    let bytes = (hashes.len() * bits_each).div_ceil(8).clamp(1, BLOOM_BYTES_MAX);
    let mut bits = vec![0u8; bytes];
    for hash in hashes {
        for bit in places(hash, bytes) {
            bits[bit / 8] |= 1 << (bit % 8);
        }
    }
    bits
}

fn places(hash: u64, bytes: usize) -> impl Iterator<Item = usize> {
    let (first, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    (0..BLOOM_HASHES).map(move |turn| (first.wrapping_add(turn.wrapping_mul(step)) % (bytes as u64 * 8)) as usize)
}

fn may_have(bits: &[u8], hash: u64) -> bool {
    bits.is_empty() || places(hash, bits.len()).all(|bit| bits[bit / 8] & (1 << (bit % 8)) != 0)
}

/// Bytes from the begin of a summary that tell of its traces, unless it has more than a block of one merge.
pub const TRACES_BYTES: u32 = 32 + 3 + (super::SPANS_MAX * TRACE_BITS / 8) as u32;

/// Whether a block may have spans of a trace; of the begin of a summary that was cut at [`TRACES_BYTES`].
pub fn may_have_trace(summary: &[u8], trace_id: &[u8; 16]) -> bool {
    let mut reader = Reader(summary);
    let Ok(ends) = reader.take(32) else { return true };
    if ends[..16] > trace_id[..] || ends[16..] < trace_id[..] {
        return false;
    }
    let bits = reader.bytes();
    // Cut off, so more than one trace per span: nothing is known.
    bits.map_or(true, |bits| may_have(bits, hash(TRACE, trace_id)))
}

/// A summary that was read.
#[derive(Debug)]
pub struct Summary<'a> {
    pub has_error: bool,
    pub has_success: bool,
    /// Smallest and largest, in nanoseconds.
    pub durations: (i64, i64),
    tokens: &'a [u8],
    /// `None` when there were too many.
    names: Option<Vec<(&'a str, Vec<&'a str>)>>,
}

impl<'a> Summary<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, CorruptBlock> {
        let mut reader = Reader(bytes);
        reader.take(32)?;
        reader.bytes()?;
        if reader.byte()? != VERSION {
            return Err(CorruptBlock("its summary has no known version"));
        }
        let flags = reader.byte()?;
        let durations = (reader.signed()?, reader.signed()?);
        let tokens = reader.bytes()?;
        let names = reader.bytes()?;
        let names = if flags & HAS_NAMES == 0 { None } else { Some(read_names(names)?) };
        let (has_error, has_success) = (flags & HAS_ERROR != 0, flags & HAS_SUCCESS != 0);
        Ok(Self { has_error, has_success, durations, tokens, names })
    }

    pub fn may_have_service(&self, service: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|(known, _)| *known == service))
    }

    /// An operation of one service, or of any.
    pub fn may_have_operation(&self, service: Option<&str>, operation: &str) -> bool {
        self.names.as_ref().is_none_or(|names| {
            let mut services = names.iter().filter(|(known, _)| service.is_none_or(|service| *known == service));
            services.any(|(_, operations)| operations.contains(&operation))
        })
    }

    pub fn may_have_value(&self, name: &str, value: &str) -> bool {
        may_have(self.tokens, hash(hash(VALUE, name.as_bytes()), value.as_bytes()))
    }

    /// An attribute of this name, or an event.
    pub fn may_have_name(&self, name: &str) -> bool {
        may_have(self.tokens, hash(NAME, name.as_bytes())) || may_have(self.tokens, hash(EVENT, name.as_bytes()))
    }

    pub fn may_have_remote(&self, service: &str) -> bool {
        may_have(self.tokens, hash(REMOTE, service.as_bytes()))
    }
}

fn read_names(bytes: &[u8]) -> Result<Vec<(&str, Vec<&str>)>, CorruptBlock> {
    let mut reader = Reader(bytes);
    let services = reader.number()?;
    (0..services)
        .map(|_| {
            let service = reader.text()?;
            let operations = reader.number()?;
            let operations = (0..operations).map(|_| reader.text()).collect::<Result<_, _>>()?;
            Ok((service, operations))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_there_is_found_and_most_of_the_rest_is_not() {
        let mut builder = SummaryBuilder::default();
        for number in 0..1000 {
            let seed = builder.tokens.seed("n");
            builder.tokens.add_value(seed, &AttributeValue::Int(number));
        }
        builder.names.entry("cart".into()).or_default().operations.insert("GET /".to_owned(), 1);
        builder.duration(7);
        builder.duration(5);
        let ids: Vec<[u8; 16]> =
            (0..1000u64).map(|n| [hash(9, &n.to_le_bytes()).to_le_bytes(); 2].concat().try_into().unwrap()).collect();
        let bytes = builder.encode(ids.iter().map(<[u8; 16]>::as_slice));
        let summary = Summary::read(&bytes).unwrap();
        assert_eq!((summary.has_error, summary.has_success, summary.durations), (false, false, (5, 7)));
        assert!((0..1000).all(|number: u32| summary.may_have_value("n", &number.to_string())));
        let wrong = (1000..11_000).filter(|number: &u32| summary.may_have_value("n", &number.to_string())).count();
        assert!(wrong < 250, "{wrong} of 10000");
        assert!(summary.may_have_service("cart") && !summary.may_have_service("shop"));
        assert!(summary.may_have_operation(None, "GET /") && summary.may_have_operation(Some("cart"), "GET /"));
        assert!(!summary.may_have_operation(Some("shop"), "GET /") && !summary.may_have_operation(None, "PUT /"));
        assert!(ids.iter().all(|id| may_have_trace(&bytes, id)));
        let cut = &bytes[..bytes.len().min(TRACES_BYTES as usize)];
        assert!(ids.iter().all(|id| may_have_trace(cut, id)) && !may_have_trace(cut, &[7; 16]));
    }

    #[test]
    fn too_many_names_are_none() {
        let mut builder = SummaryBuilder::default();
        let operations = (0..2000).map(|number| (format!("GET /some/path/{number}"), 1)).collect();
        builder.names.insert("cart".into(), ServiceNames { operations, ..ServiceNames::default() });
        let bytes = builder.encode(std::iter::once(&[1u8; 16][..]));
        assert!(Summary::read(&bytes).unwrap().may_have_operation(Some("shop"), "PUT /"));
        assert!(bytes.len() < 100);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Summary::read(&bytes);
            let _ = may_have_trace(&bytes, &[1; 16]);
        }
    }
}
