//! Times of samples as differences of differences: even ones cost next to nothing.

use super::bytes::{Damaged, Reader, put, put_signed};

/// Appends ascending times.
pub fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    put(out, times.len() as u64);
    let (mut last, mut step) = (0, 0);
    for (index, time) in times.iter().enumerate() {
        let now = time.wrapping_sub(last);
        put_signed(out, now.wrapping_sub(step));
        // The first difference is the time itself, which tells nothing of the next.
        step = if index == 0 { 0 } else { now };
        last = *time;
    }
}

/// Reads [`put_times`]' bytes; times that do not ascend are damage.
pub fn take_times(reader: &mut Reader<'_>, max: usize) -> Result<Vec<i64>, Damaged> {
    let count = reader.count(max)?;
    let mut times: Vec<i64> = Vec::with_capacity(count.min(4096));
    let mut step = 0i64;
    for index in 0..count {
        let now = step.wrapping_add(reader.signed()?);
        let time = times.last().copied().unwrap_or(0).wrapping_add(now);
        if times.last().is_some_and(|last| *last >= time) {
            return Err(Damaged("its times do not ascend"));
        }
        times.push(time);
        step = if index == 0 { 0 } else { now };
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_times_are_zeros() {
        let times: Vec<i64> = (0..480).map(|n| 1_795_413_600_123 + n * 15_000).collect();
        let mut out = Vec::new();
        put_times(&mut out, &times);
        assert_eq!(out.len(), 2 + 6 + 3 + 478);
        assert!(out[11..].iter().all(|byte| *byte == 0));
        assert_eq!(take_times(&mut Reader::new(&out), 480).unwrap(), times);
        assert!(take_times(&mut Reader::new(&out), 479).is_err());
    }

    #[test]
    fn times_that_stand_still_are_damage() {
        let mut out = Vec::new();
        put_times(&mut out, &[5, 5]);
        assert_eq!(take_times(&mut Reader::new(&out), 9), Err(Damaged("its times do not ascend")));
    }
}
