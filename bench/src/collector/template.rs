//! Bodies that are made once and sent again and again with other ids and times, so that making them costs next to nothing.

use std::collections::HashSet;

use super::random::{mix, uuid};

/// A body and where its ids and times stand.
pub struct Template {
    body: Vec<u8>,
    marks: Vec<Mark>,
    /// Spans, log entries.
    pub items: u64,
}

#[derive(Clone, Copy)]
enum Mark {
    /// Eight bytes of an id.
    Bytes(usize),
    /// Eight bytes of an id as 16 hexadecimal digits.
    Hex(usize),
    Uuid(usize),
    /// Nanoseconds since 1970, little endian.
    Nanoseconds(usize),
    /// Microseconds since 1970 in decimal digits.
    Microseconds(usize),
}

/// What is an id or a time in a set of bodies, whichever way it is written.
#[derive(Default)]
pub struct Marked {
    ids: HashSet<[u8; 8]>,
    hex: HashSet<[u8; 16]>,
    uuids: HashSet<[u8; 36]>,
    nanoseconds: HashSet<[u8; 8]>,
    microseconds: HashSet<[u8; 16]>,
}

impl Marked {
    pub fn id(&mut self, id: [u8; 8]) {
        self.ids.insert(id);
        if let Ok(hex) = format!("{:016x}", u64::from_be_bytes(id)).into_bytes().try_into() {
            self.hex.insert(hex);
        }
    }

    pub fn uuid(&mut self, uuid: &str) {
        if let Ok(uuid) = uuid.as_bytes().try_into() {
            self.uuids.insert(uuid);
        }
    }

    pub fn time_us(&mut self, us: u64) {
        self.nanoseconds.insert((us * 1000).to_le_bytes());
        if let Ok(digits) = us.to_string().into_bytes().try_into() {
            self.microseconds.insert(digits);
        }
    }
}

impl Template {
    pub fn new(body: Vec<u8>, items: u64, marked: &Marked) -> Self {
        let mut marks = Vec::new();
        let mut at = 0;
        while at < body.len() {
            let rest = &body[at..];
            let first8: Option<[u8; 8]> = rest.get(..8).and_then(|bytes| bytes.try_into().ok());
            let first16: Option<[u8; 16]> = rest.get(..16).and_then(|bytes| bytes.try_into().ok());
            let first36: Option<[u8; 36]> = rest.get(..36).and_then(|bytes| bytes.try_into().ok());
            let (mark, length) = if first36.is_some_and(|bytes| marked.uuids.contains(&bytes)) {
                (Some(Mark::Uuid(at)), 36)
            } else if first16.is_some_and(|bytes| marked.hex.contains(&bytes)) {
                (Some(Mark::Hex(at)), 16)
            } else if first16.is_some_and(|bytes| marked.microseconds.contains(&bytes)) {
                (Some(Mark::Microseconds(at)), 16)
            } else if first8.is_some_and(|bytes| marked.ids.contains(&bytes)) {
                (Some(Mark::Bytes(at)), 8)
            } else if first8.is_some_and(|bytes| marked.nanoseconds.contains(&bytes)) {
                (Some(Mark::Nanoseconds(at)), 8)
            } else {
                (None, 1)
            };
            marks.extend(mark);
            at += length;
        }
        Self { body, marks, items }
    }

    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The body with ids of this round, its times moved.
    pub fn stamp(&self, round: u64, shift_us: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        for mark in &self.marks {
            match *mark {
                Mark::Bytes(at) => {
                    let number = mix(read(&body, at), round);
                    body[at..at + 8].copy_from_slice(&number.to_be_bytes());
                }
                Mark::Hex(at) => {
                    let number = std::str::from_utf8(&body[at..at + 16]).ok().and_then(|hex| u64::from_str_radix(hex, 16).ok());
                    write_hex(&mut body[at..at + 16], mix(number.unwrap_or_default(), round));
                }
                Mark::Uuid(at) => {
                    let number = read(&body, at) ^ read(&body, at + 24);
                    body[at..at + 36].copy_from_slice(uuid(number, round).as_bytes());
                }
                Mark::Nanoseconds(at) => {
                    let ns = read(&body, at).swap_bytes().wrapping_add(shift_us * 1000);
                    body[at..at + 8].copy_from_slice(&ns.to_le_bytes());
                }
                Mark::Microseconds(at) => {
                    let us = body[at..at + 16].iter().fold(0, |us, digit| us * 10 + u64::from(digit - b'0')) + shift_us;
                    write_decimal(&mut body[at..at + 16], us);
                }
            }
        }
        body
    }
}

/// Big endian.
fn read(body: &[u8], at: usize) -> u64 {
    body[at..at + 8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn write_hex(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

fn write_decimal(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_changes_ids_and_times_everywhere_alike() {
        let mut marked = Marked::default();
        let id = 0x0123_4567_89ab_cdef_u64;
        marked.id(id.to_be_bytes());
        marked.time_us(1_700_000_000_000_000);
        marked.uuid(&uuid(7, 0));
        let mut body = format!("\"0123456789abcdef\",1700000000000000,\"{}\",", uuid(7, 0)).into_bytes();
        body.extend(id.to_be_bytes());
        body.extend(1_700_000_000_000_000_000_u64.to_le_bytes());
        let template = Template::new(body, 1, &marked);
        assert_eq!(template.marks.len(), 5);
        let stamped = template.stamp(3, 25);
        let new_id = mix(id, 3);
        assert_eq!(&stamped[1..17], format!("{new_id:016x}").as_bytes());
        assert_eq!(&stamped[19..35], b"1700000000000025");
        let end = stamped.len();
        assert_eq!(stamped[end - 16..end - 8], new_id.to_be_bytes());
        assert_eq!(stamped[end - 8..], 1_700_000_000_000_025_000_u64.to_le_bytes());
        assert_ne!(stamped[37..73], *uuid(7, 0).as_bytes());
        assert_eq!(template.stamp(3, 25), stamped);
    }
}
