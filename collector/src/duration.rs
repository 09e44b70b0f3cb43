//! Durations as Prometheus writes them: `1h30m`, `15s`, `500ms`.

use std::time::Duration;

/// Units from the longest on, in milliseconds.
const UNITS: [(&str, u64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads units in descending order, each at most once, or `0`.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (mut rest, mut total_ms, mut next) = (text, 0u64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let place = UNITS.iter().position(|(name, _)| *name == unit).filter(|place| *place >= next)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[place].1)?)?;
        (rest, next) = (tail, place + 1);
    }
    (next > 0).then(|| Duration::from_millis(total_ms))
}

/// Years and weeks only where nothing is left over.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length_ms) in UNITS {
        let is_exact = matches!(unit, "y" | "w");
        if rest_ms >= length_ms && (!is_exact || rest_ms % length_ms == 0) {
            text.push_str(&format!("{}{unit}", rest_ms / length_ms));
            rest_ms %= length_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_as_prometheus_does() {
        for (text, ms, written) in [
            ("15s", 15_000, "15s"),
            ("60s", 60_000, "1m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1d12h", 129_600_000, "1d12h"),
            ("14d", 1_209_600_000, "2w"),
            ("1s500ms", 1_500, "1s500ms"),
            ("0", 0, "0s"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!((duration.as_millis(), format(duration).as_str()), (ms, written), "{text}");
        }
        for wrong in ["", "15", "s", "1m1h", "1s1s", "1.5s", "-1s", "1 s", "99999999999999999999s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
