//! Values of one series after the other: whole numbers as differences, from an earlier series where that tells more;
//! everything else by the bits that changed. What comes back is equal to the last bit.

use std::collections::HashMap;

use super::bytes::{Damaged, Reader, put, put_signed, zigzag};

/// Largest whole number that a float holds together with all below it.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Decimal places that are tried before a value is taken as bits.
const PLACES_MAX: u8 = 6;
const POWERS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];

const CONSTANT: u8 = 0;
const WHOLE: u8 = 1;
const BITS: u8 = 2;
/// Differences of the differences, not these.
const SECOND_ORDER: u8 = 1 << 5;
/// Less the differences of an earlier series.
const LESS_EARLIER: u8 = 1 << 6;
/// Single values that are no whole numbers, as the mark at the end of a series.
const EXCEPTIONS: u8 = 1 << 7;

/// Differences of a series of whole numbers, by which later ones are told.
type Steps = Vec<i64>;

/// Streams that compress better apart.
#[derive(Default)]
pub struct Streams {
    pub heads: Vec<u8>,
    pub steps: Vec<u8>,
    pub bits: Vec<u8>,
}

/// Appends series to streams.
#[derive(Default)]
pub struct NumberWriter {
    pub streams: Streams,
    written: Vec<Option<(usize, Steps)>>,
    by_steps: HashMap<u64, usize>,
    last_of_times: HashMap<usize, usize>,
    hasher: ahash::RandomState,
}

/// A series as whole numbers.
struct Wholes {
    places: u8,
    numbers: Vec<i64>,
    exceptions: Vec<(usize, u64)>,
}

impl NumberWriter {
    /// Appends the values of the next series, which stand at the times of that index.
    pub fn put(&mut self, times: usize, values: &[f64]) {
        let first = values.first().map_or(0, |value| value.to_bits());
        if values.iter().all(|value| value.to_bits() == first) {
            self.put_constant(f64::from_bits(first));
        } else if let Some(wholes) = wholes(values) {
            self.put_wholes(times, &wholes);
        } else {
            self.put_bits(values);
        }
    }

    fn put_constant(&mut self, value: f64) {
        let heads = &mut self.streams.heads;
        match (0..=PLACES_MAX).find_map(|places| Some((places, whole(value, places)?))) {
            Some((places, number)) => {
                heads.push(CONSTANT | places << 2);
                put_signed(heads, number);
            }
            None => {
                heads.push(CONSTANT | EXCEPTIONS);
                heads.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
        self.written.push(None);
    }

    fn put_wholes(&mut self, times: usize, wholes: &Wholes) {
        let steps: Steps = wholes.numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        let index = self.written.len();
        let hash = self.hasher.hash_one(&steps);
        let same = self.by_steps.get(&hash).copied();
        let earlier = [same, self.last_of_times.get(&times).copied()].into_iter().flatten();
        let mut best = (cost(&steps, None, false), None, false);
        let mut consider = |earlier: Option<usize>, steps_before: Option<&Steps>| {
            for second_order in [false, true] {
                let cost = cost(&steps, steps_before, second_order);
                if cost < best.0 {
                    best = (cost, earlier, second_order);
                }
            }
        };
        consider(None, None);
        for earlier in earlier {
            if let Some(Some((_, before))) = self.written.get(earlier)
                && before.len() == steps.len()
            {
                consider(Some(earlier), Some(before));
            }
        }
        let (_, earlier, second_order) = best;
        let heads = &mut self.streams.heads;
        let mut mode = WHOLE | wholes.places << 2;
        mode |= if second_order { SECOND_ORDER } else { 0 };
        mode |= if earlier.is_some() { LESS_EARLIER } else { 0 };
        mode |= if wholes.exceptions.is_empty() { 0 } else { EXCEPTIONS };
        heads.push(mode);
        put_signed(heads, wholes.numbers[0]);
        if let Some(earlier) = earlier {
            put(heads, (index - earlier) as u64);
        }
        if !wholes.exceptions.is_empty() {
            put(heads, wholes.exceptions.len() as u64);
            let mut last = 0;
            for (at, bits) in &wholes.exceptions {
                put(heads, (at - last) as u64);
                heads.extend_from_slice(&bits.to_le_bytes());
                last = *at;
            }
        }
        let before = earlier.and_then(|earlier| self.written[earlier].as_ref()).map(|(_, steps)| steps);
        residuals(&steps, before, second_order, |residual| put_signed(&mut self.streams.steps, residual));
        self.written.push(Some((times, steps)));
        self.last_of_times.insert(times, index);
        self.by_steps.entry(hash).or_insert(index);
    }

    /// Per value a byte that says which bytes changed, and these.
    fn put_bits(&mut self, values: &[f64]) {
        self.streams.heads.push(BITS);
        let mut last = 0;
        for value in values {
            let changed = value.to_bits() ^ last;
            last = value.to_bits();
            let (skipped, kept) = changed_bytes(changed);
            self.streams.steps.push(skipped << 4 | kept);
            let bytes = changed.to_be_bytes();
            self.streams.bits.extend_from_slice(&bytes[skipped.into()..(skipped + kept).into()]);
        }
        self.written.push(None);
    }
}

/// Leading bytes without a change, and how many follow up to the last one with one.
fn changed_bytes(changed: u64) -> (u8, u8) {
    if changed == 0 {
        return (0, 0);
    }
    let skipped = (changed.leading_zeros() / 8) as u8;
    (skipped, 8 - skipped - (changed.trailing_zeros() / 8) as u8)
}

/// The value as a whole number of so many decimal places, if that loses nothing.
fn whole(value: f64, places: u8) -> Option<i64> {
    let power = POWERS[usize::from(places)];
    let number = (value * power).round();
    let is_same = number.abs() <= WHOLE_MAX && ((number as i64) as f64 / power).to_bits() == value.to_bits();
    is_same.then_some(number as i64)
}

/// As few decimal places as the values need; `None` when too many of them are nothing of the kind.
fn wholes(values: &[f64]) -> Option<Wholes> {
    let places_of = |value: &f64| (0..=PLACES_MAX).find(|places| whole(*value, *places).is_some());
    let places = values.iter().take(32).filter_map(places_of).max().unwrap_or(0);
    let exceptions_max = values.len() / 8 + 1;
    let mut numbers = Vec::with_capacity(values.len());
    let mut exceptions = Vec::new();
    let mut last = 0;
    for (index, value) in values.iter().enumerate() {
        match whole(*value, places) {
            Some(number) => last = number,
            None if exceptions.len() == exceptions_max => return None,
            None => exceptions.push((index, value.to_bits())),
        }
        numbers.push(last);
    }
    Some(Wholes { places, numbers, exceptions })
}

fn residuals(steps: &[i64], before: Option<&Steps>, second_order: bool, mut each: impl FnMut(i64)) {
    let mut last = 0;
    for (index, step) in steps.iter().enumerate() {
        let step = before.map_or(*step, |before| step.wrapping_sub(before[index]));
        each(if second_order { step.wrapping_sub(last) } else { step });
        last = step;
    }
}

/// About how many bits the residuals take.
fn cost(steps: &[i64], before: Option<&Steps>, second_order: bool) -> u64 {
    let mut bits = 0;
    residuals(steps, before, second_order, |residual| {
        let number = zigzag(residual);
        bits += if number == 0 { 0 } else { 66 - u64::from(number.leading_zeros()) };
    });
    bits
}

/// Reads series from streams.
pub struct NumberReader<'a> {
    pub heads: Reader<'a>,
    pub steps: Reader<'a>,
    pub bits: Reader<'a>,
    read: Vec<Option<Steps>>,
}

impl<'a> NumberReader<'a> {
    pub fn new(heads: &'a [u8], steps: &'a [u8], bits: &'a [u8]) -> Self {
        Self { heads: Reader::new(heads), steps: Reader::new(steps), bits: Reader::new(bits), read: Vec::new() }
    }

    /// The next series of `count` values.
    pub fn take(&mut self, count: usize, values: &mut Vec<f64>) -> Result<(), Damaged> {
        values.clear();
        let mode = self.heads.byte()?;
        let steps = match mode & 3 {
            CONSTANT => {
                let value = if mode & EXCEPTIONS != 0 {
                    f64::from_bits(self.heads.bits()?)
                } else {
                    self.heads.signed()? as f64 / power(mode)?
                };
                values.resize(count, value);
                None
            }
            WHOLE => Some(self.take_wholes(mode, count, values)?),
            BITS => {
                self.take_bits(count, values)?;
                None
            }
            _ => return Err(Damaged("a series is of no known kind")),
        };
        self.read.push(steps);
        Ok(())
    }

    fn take_wholes(&mut self, mode: u8, count: usize, values: &mut Vec<f64>) -> Result<Steps, Damaged> {
        let power = power(mode)?;
        let mut number = self.heads.signed()?;
        let steps_count = count.saturating_sub(1);
        let before = if mode & LESS_EARLIER == 0 {
            None
        } else {
            let distance = self.heads.count(self.read.len())?;
            let earlier = self.read.get(self.read.len() - distance).and_then(Option::as_ref);
            let earlier = earlier.filter(|steps| steps.len() == steps_count);
            Some(earlier.ok_or(Damaged("a series refers to one that is not there"))?)
        };
        let exceptions = if mode & EXCEPTIONS == 0 { Vec::new() } else { self.heads.take_exceptions(count)? };
        let mut steps = Vec::with_capacity(steps_count.min(self.steps.rest().len()));
        values.push(number as f64 / power);
        let mut last = 0i64;
        for index in 0..steps_count {
            let residual = self.steps.signed()?;
            let own = if mode & SECOND_ORDER == 0 { residual } else { residual.wrapping_add(last) };
            last = own;
            let step = before.map_or(own, |before| own.wrapping_add(before[index]));
            steps.push(step);
            number = number.wrapping_add(step);
            values.push(number as f64 / power);
        }
        for (at, bits) in exceptions {
            *values.get_mut(at).ok_or(Damaged("an exception lies outside"))? = f64::from_bits(bits);
        }
        Ok(steps)
    }

    fn take_bits(&mut self, count: usize, values: &mut Vec<f64>) -> Result<(), Damaged> {
        let mut last = 0;
        for _ in 0..count {
            let control = self.steps.byte()?;
            let (skipped, kept) = (usize::from(control >> 4), usize::from(control & 15));
            if skipped + kept > 8 {
                return Err(Damaged("a value has too many bytes"));
            }
            let mut bytes = [0; 8];
            bytes[skipped..skipped + kept].copy_from_slice(self.bits.take(kept)?);
            last ^= u64::from_be_bytes(bytes);
            values.push(f64::from_bits(last));
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn take_exceptions(&mut self, max: usize) -> Result<Vec<(usize, u64)>, Damaged> {
        let count = self.count(max)?;
        let mut at = 0;
        (0..count)
            .map(|_| {
                at += self.count(max)?;
                Ok((at, self.bits()?))
            })
            .collect()
    }
}

fn power(mode: u8) -> Result<f64, Damaged> {
    POWERS.get(usize::from(mode >> 2 & 7)).copied().ok_or(Damaged("a value has too many places"))
}
