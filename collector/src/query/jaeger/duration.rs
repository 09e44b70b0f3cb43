//! Durations as Go writes them: `1.5s`, `1h2m`, `100ms`, `-3us`, `0`.

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Nanoseconds, or what Go would say of the text.
pub fn parse_ns(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, factor) = known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        total += number * factor;
        rest = tail;
    }
    let ns = (total * sign).round();
    if ns.abs() < i64::MAX as f64 { Ok(ns as i64) } else { Err(invalid()) }
}

#[cfg(test)]
mod tests {
    use super::parse_ns;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, ns) in [
            ("0", 0),
            ("1.5s", 1_500_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            ("100us", 100_000),
            ("7µs", 7_000),
            ("-2ms", -2_000_000),
            ("3ns", 3),
            (".5s", 500_000_000),
        ] {
            assert_eq!(parse_ns(text), Ok(ns), "{text}");
        }
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("5", r#"time: missing unit in duration "5""#),
            ("5x", r#"time: unknown unit "x" in duration "5x""#),
            ("s", r#"time: invalid duration "s""#),
            ("1.2.3s", r#"time: invalid duration "1.2.3s""#),
            ("99999999999h", r#"time: invalid duration "99999999999h""#),
        ] {
            assert_eq!(parse_ns(text), Err(message.to_owned()), "{text}");
        }
    }
}
