//! Blocks give back what was put in, take little room, and survive damage.

use std::time::Instant;

use proptest::prelude::*;

use super::super::STALE_BITS;
use super::super::traffic::Traffic;
use super::*;

type Series = Vec<(i64, Vec<i64>, Vec<u64>)>;

fn all(block: &[u8]) -> Result<Series, Damaged> {
    let mut series = Series::new();
    read(block, &|_| true, &mut |id, times, values| {
        series.push((id, times.to_vec(), values.iter().map(|value| value.to_bits()).collect()));
    })?;
    Ok(series)
}

fn columns(series: &Series) -> Columns {
    let mut columns = Columns::default();
    for (id, times, bits) in series {
        columns.push(*id, times.clone(), bits.iter().map(|bits| f64::from_bits(*bits)).collect());
    }
    columns
}

#[test]
fn special_values_come_back_to_the_last_bit() {
    let special = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 0.1, 1e300, 9.1e15, -3.0];
    let mut bits: Vec<u64> = special.iter().map(|value| value.to_bits()).collect();
    bits.extend([STALE_BITS, 0x7ff8_0000_0000_0001, 0xfff8_0000_0000_0000, u64::MAX]);
    let row: Vec<(i64, f64)> = bits.iter().enumerate().map(|(id, bits)| (id as i64 * 3, f64::from_bits(*bits))).collect();
    let back = all(&encode_row(-5, &row)).unwrap();
    assert_eq!(
        back.iter().map(|(_, times, bits)| (times[0], bits[0])).collect::<Vec<_>>(),
        bits.iter().map(|b| (-5, *b)).collect::<Vec<_>>()
    );
    let times: Vec<i64> = (0..bits.len() as i64).collect();
    let series = vec![(7, times.clone(), bits.clone()), (8, times, vec![STALE_BITS; bits.len()])];
    assert_eq!(all(&encode_columns(&columns(&series))).unwrap(), series);
}

#[test]
fn a_counter_that_ends_stays_a_counter() {
    let counter: Vec<u64> = (0..479).map(|n| f64::from(n * 7).to_bits()).chain([STALE_BITS]).collect();
    let series = vec![(1, (0..480).map(|n| n * 15_000).collect(), counter)];
    let block = encode_columns(&columns(&series));
    assert!(block.len() < 80, "{} bytes", block.len());
    assert_eq!(all(&block).unwrap(), series);
}

#[test]
fn only_what_is_wanted_is_given() {
    let series: Series = (0..9).map(|id| (id, vec![1, 2, 3], vec![0, (id as f64).to_bits(), 0])).collect();
    let mut seen = Vec::new();
    read(&encode_columns(&columns(&series)), &|id| id % 4 == 1, &mut |id, _, values| seen.push((id, values[1]))).unwrap();
    assert_eq!(seen, [(1, 1.0), (5, 5.0)]);
}

#[test]
fn summaries_tell_what_a_block_has() {
    let summary = summary(vec![9, 5, 6, 7, 5, 1_000_000]);
    assert_eq!(summary.len(), 9);
    assert!(may_have(&summary, &[1, 6]) && may_have(&summary, &[1_000_000]) && may_have(&summary, &[9]));
    assert!(!may_have(&summary, &[1, 4, 8, 10, 999_999, 1_000_001]));
    assert!(may_have(&[200], &[1]));
}

/// Two hours of sixteen edges, scraped every 15 seconds at times that were snapped.
fn two_hours() -> (Vec<i64>, Vec<Vec<f64>>) {
    let mut traffic = Traffic::new(16, 4711);
    traffic.run(3600.0);
    let times: Vec<i64> = (0..480).map(|scrape| 1_795_413_600_123 + scrape * 15_000).collect();
    let rows = times
        .iter()
        .map(|_| {
            traffic.run(15.0);
            traffic.values()
        })
        .collect();
    (times, rows)
}

#[test]
fn a_sample_of_istio_takes_little_room() {
    let (times, rows) = two_hours();
    let width = rows[0].len();
    let started = Instant::now();
    let row_bytes: usize = times
        .iter()
        .zip(&rows)
        .map(|(t_ms, row)| {
            let values: Vec<(i64, f64)> = row.iter().enumerate().map(|(id, value)| (id as i64, *value)).collect();
            encode_row(*t_ms, &values).len()
        })
        .sum();
    let rows_took = started.elapsed();
    let samples = width * rows.len();
    let started = Instant::now();
    let mut bytes = 0;
    let mut blocks = Vec::new();
    for first in (0..width).step_by(SERIES_MAX) {
        let mut columns = Columns::default();
        for id in first..width.min(first + SERIES_MAX) {
            columns.push(id as i64, times.clone(), rows.iter().map(|row| row[id]).collect());
        }
        let block = encode_columns(&columns);
        bytes += block.len() + summary((first as i64..(first + columns.series.len()) as i64).collect()).len();
        blocks.push(block);
    }
    let took = started.elapsed();
    let started = Instant::now();
    let mut seen = 0;
    for block in &blocks {
        read(block, &|_| true, &mut |id, back, values| {
            assert_eq!(back, times);
            assert!(values.iter().zip(&rows).all(|(value, row)| value.to_bits() == row[id as usize].to_bits()));
            seen += values.len();
        })
        .unwrap();
    }
    assert_eq!(seen, samples);
    let read_took = started.elapsed();
    let per_sample = bytes as f64 / samples as f64;
    let ns = |took: std::time::Duration| took.as_nanos() as f64 / samples as f64;
    println!(
        "{samples} samples: {per_sample:.3} bytes each in columns, {:.3} in rows; ns each: rows {:.0}, columns {:.0}, read {:.0}",
        row_bytes as f64 / samples as f64,
        ns(rows_took),
        ns(took),
        ns(read_took)
    );
    assert!(per_sample < 1.6, "{per_sample}");
}

fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0u32..1000).prop_map(|n| f64::from(n).to_bits()),
        2 => (-1000i32..1000).prop_map(|n| (f64::from(n) / 100.0).to_bits()),
        1 => any::<f64>().prop_map(f64::to_bits),
        1 => any::<u64>(),
        1 => Just(STALE_BITS),
    ]
}

proptest! {
    #[test]
    fn columns_come_back(
        times in prop::collection::vec(prop::collection::btree_set(-1_000_000i64..2_000_000_000_000, 1..40), 1..4),
        series in prop::collection::vec((any::<i32>(), any::<prop::sample::Index>(), prop::collection::vec(any_value(), 40)), 0..12),
    ) {
        let series: Series = series.into_iter().map(|(id, which, values)| {
            let times: Vec<i64> = which.get(&times).iter().copied().collect();
            let values = values[..times.len()].to_vec();
            (i64::from(id), times, values)
        }).collect();
        prop_assert_eq!(all(&encode_columns(&columns(&series))).unwrap(), series);
    }

    #[test]
    fn rows_come_back(t_ms in any::<i64>(), values in prop::collection::btree_map(0i64..i64::MAX / 2, any_value(), 0..60)) {
        let row: Vec<(i64, f64)> = values.iter().map(|(id, bits)| (*id, f64::from_bits(*bits))).collect();
        let expected: Series = values.into_iter().map(|(id, bits)| (id, vec![t_ms], vec![bits])).collect();
        prop_assert_eq!(all(&encode_row(t_ms, &row)).unwrap(), expected);
    }

    #[test]
    fn damage_is_told(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let series: Series = (0..20).map(|id| {
            let values = (0..50).map(|n| (f64::from(n) * id as f64 / 3.0).to_bits()).collect();
            (id, (0..50).collect(), values)
        }).collect();
        let row: Vec<(i64, f64)> = (0..50).map(|id| (id, id as f64 / 2.0)).collect();
        for mut block in [encode_columns(&columns(&series)), encode_row(7, &row)] {
            let _ = all(&block[..cut.index(block.len())]);
            let at = at.index(block.len());
            block[at] = byte;
            let _ = all(&block);
        }
        let _ = all(&noise);
        // Also behind the compression, where most damage would be caught already.
        for kind in [ROW, COLUMNS] {
            let mut block = vec![kind];
            if kind == ROW {
                put(&mut block, noise.len() as u64);
                block.push(0);
                block.extend_from_slice(&noise);
            } else {
                for part in noise.chunks(noise.len() / 4 + 1).chain([&[][..]; 4]).take(4) {
                    put(&mut block, part.len() as u64 + 2);
                    put(&mut block, part.len() as u64);
                    block.push(0);
                    block.extend_from_slice(part);
                }
            }
            let _ = all(&block);
        }
    }
}
