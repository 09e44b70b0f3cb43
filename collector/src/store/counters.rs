//! Counters of one series as a short blob, and as columns of a rollup.

use std::sync::Arc;

use super::database::{Row, Value, int};
use super::schema::{BUCKETS_MAX, TOTALS};
use super::{Histogram, Totals};

/// Whole numbers as LEB128, others as eight bytes; buckets last.
pub(super) fn encode(totals: &Totals) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    for number in whole(totals) {
        put(&mut out, number);
    }
    for number in [totals.duration.sum, totals.request_bytes, totals.response_bytes] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for count in &totals.duration.counts {
        put(&mut out, *count);
    }
    out
}

/// Reads [`encode`]'s blob; what is cut off reads as zero.
pub(super) fn decode(mut blob: &[u8], bounds: Arc<[f64]>) -> Totals {
    let mut totals = Totals {
        requests: take(&mut blob),
        request_messages: take(&mut blob),
        response_messages: take(&mut blob),
        tcp_sent_bytes: take(&mut blob),
        tcp_received_bytes: take(&mut blob),
        tcp_opened: take(&mut blob),
        tcp_closed: take(&mut blob),
        ..Totals::default()
    };
    let sum = take_real(&mut blob);
    totals.request_bytes = take_real(&mut blob);
    totals.response_bytes = take_real(&mut blob);
    let counts = (0..=bounds.len()).map(|_| take(&mut blob)).collect();
    totals.duration = Histogram { bounds, counts, sum };
    totals
}

/// Values of [`super::schema::value_columns`]; zero is null, which costs least.
pub(super) fn columns(totals: &Totals) -> impl Iterator<Item = Value> + '_ {
    let [requests, request_messages, response_messages, sent, received, opened, closed] = whole(totals).map(count);
    let reals = [totals.duration.sum, totals.request_bytes, totals.response_bytes].map(real);
    let [duration_sum, request_bytes, response_bytes] = reals;
    let fixed = [
        requests,
        duration_sum,
        request_bytes,
        response_bytes,
        request_messages,
        response_messages,
        sent,
        received,
        opened,
        closed,
    ];
    let counts = &totals.duration.counts;
    fixed.into_iter().chain((0..BUCKETS_MAX).map(|b| count(counts.get(b).copied().unwrap_or(0))))
}

/// Reads the columns of [`columns`] from `first` on.
pub(super) fn read(row: &Row, first: usize, bounds: &Arc<[f64]>) -> Totals {
    let buckets = first + TOTALS.len();
    Totals {
        requests: row.count(first),
        duration: Histogram {
            bounds: bounds.clone(),
            counts: (0..=bounds.len()).map(|b| row.count(buckets + b)).collect(),
            sum: row.real(first + 1),
        },
        request_bytes: row.real(first + 2),
        response_bytes: row.real(first + 3),
        request_messages: row.count(first + 4),
        response_messages: row.count(first + 5),
        tcp_sent_bytes: row.count(first + 6),
        tcp_received_bytes: row.count(first + 7),
        tcp_opened: row.count(first + 8),
        tcp_closed: row.count(first + 9),
    }
}

fn whole(totals: &Totals) -> [u64; 7] {
    [
        totals.requests,
        totals.request_messages,
        totals.response_messages,
        totals.tcp_sent_bytes,
        totals.tcp_received_bytes,
        totals.tcp_opened,
        totals.tcp_closed,
    ]
}

fn count(number: u64) -> Value {
    if number == 0 { Value::Null } else { int(number) }
}

fn real(number: f64) -> Value {
    if number == 0.0 { Value::NullReal } else { Value::Real(number) }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(blob: &mut &[u8]) -> u64 {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((&byte, rest)) = blob.split_first() else { return number };
        *blob = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

fn take_real(blob: &mut &[u8]) -> f64 {
    match blob.split_first_chunk::<8>() {
        Some((bytes, rest)) => {
            *blob = rest;
            f64::from_le_bytes(*bytes)
        }
        None => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_blob_gives_back_its_counters(
            whole in any::<[u64; 7]>(), reals in any::<[i32; 3]>(), counts in prop::collection::vec(any::<u64>(), 4)
        ) {
            let bounds: Arc<[f64]> = Arc::from([1.0, 5.0, 10.0]);
            let totals = Totals {
                requests: whole[0], request_messages: whole[1], response_messages: whole[2], tcp_sent_bytes: whole[3],
                tcp_received_bytes: whole[4], tcp_opened: whole[5], tcp_closed: whole[6],
                request_bytes: f64::from(reals[1]), response_bytes: f64::from(reals[2]) / 3.0,
                duration: Histogram { bounds: bounds.clone(), counts, sum: f64::from(reals[0]) },
            };
            prop_assert_eq!(decode(&encode(&totals), bounds), totals);
        }
    }
}
