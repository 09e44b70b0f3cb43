//! Numbers, durations and times as the dashboard writes them.

/// A rate, without its unit: three significant digits, never an exponent.
pub fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        return "0".to_owned();
    }
    match per_second {
        r if r < 0.01 => "<0.01".to_owned(),
        r if r < 1.0 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        r if r < 9999.5 => group(r.round() as u64),
        r if r < 999_500.0 => format!("{:.0}k", r / 1000.0),
        r => format!("{:.1}M", r / 1_000_000.0),
    }
}

/// A label of an axis: no more digits than the number needs.
pub fn axis(value: f64) -> String {
    match value {
        v if v >= 10_000.0 => rate(v),
        v if v.fract() == 0.0 => format!("{v:.0}"),
        v if (v * 10.0).fract().abs() < 1e-9 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Bytes per second, with unit.
pub fn bytes_per_second(rate: f64) -> String {
    match rate {
        r if r < 1000.0 => format!("{r:.0} B/s"),
        r if r < 1e6 => format!("{:.1} kB/s", r / 1e3),
        r if r < 1e9 => format!("{:.1} MB/s", r / 1e6),
        r => format!("{:.1} GB/s", r / 1e9),
    }
}

/// Percent without its sign. What is not zero never reads as zero, and what is not everything never as 100.
pub fn percent(share: f64) -> String {
    match share {
        s if s <= 0.0 => "0".to_owned(),
        s if s < 0.1 => "<0.1".to_owned(),
        s if s < 99.95 => format!("{s:.1}"),
        s if s < 100.0 => ">99.9".to_owned(),
        _ => "100".to_owned(),
    }
}

/// A duration as number and unit, so that the unit can be set smaller.
pub fn duration_parts(ms: f64) -> (String, &'static str) {
    match ms {
        ms if ms < 1.0 => (format!("{ms:.1}"), "ms"),
        ms if ms < 999.5 => (format!("{ms:.0}"), "ms"),
        ms if ms < 9950.0 => (format!("{:.1}", ms / 1000.0), "s"),
        ms if ms < 119_500.0 => (format!("{:.0}", ms / 1000.0), "s"),
        ms => (format!("{:.0}", ms / 60_000.0), "min"),
    }
}

pub fn duration(ms: f64) -> String {
    let (number, unit) = duration_parts(ms);
    format!("{number} {unit}")
}

/// The same from microseconds, with as many digits as a trace needs.
pub fn micros(us: i64) -> String {
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1000.0),
        _ => duration(us as f64 / 1000.0),
    }
}

/// `08:12:04.318`
pub fn time_of_day_ms(at_ms: i64, offset_minutes: i64) -> String {
    format!("{}.{:03}", time_of_day(at_ms, offset_minutes), at_ms.rem_euclid(1000))
}

/// How long ago, in the two coarsest words that matter: `12 s`, `4 min`, `3 h`, `19 d`.
pub fn age(ms: i64) -> String {
    let s = (ms / 1000).max(0);
    match s {
        0..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// `08:12:04`
pub fn time_of_day(at_ms: i64, offset_minutes: i64) -> String {
    let s = seconds_of_day(at_ms, offset_minutes);
    format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// `08:12`
pub fn hour_minute(at_ms: i64, offset_minutes: i64) -> String {
    let s = seconds_of_day(at_ms, offset_minutes);
    format!("{:02}:{:02}", s / 3600, s / 60 % 60)
}

fn seconds_of_day(at_ms: i64, offset_minutes: i64) -> i64 {
    (at_ms.div_euclid(1000) + offset_minutes * 60).rem_euclid(86_400)
}

/// `1 344`: thin groups read better than commas beside decimals.
pub fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        let shown: Vec<String> =
            [0.0, 0.004, 0.25, 4.933, 14.8, 99.96, 1344.2, 25_300.0, 2_500_000.0].into_iter().map(rate).collect();
        assert_eq!(shown, ["0", "<0.01", "0.25", "4.9", "14.8", "100", "1\u{202f}344", "25k", "2.5M"]);
    }

    #[test]
    fn axes_are_short() {
        let shown: Vec<String> = [0.0, 10.0, 2.5, 0.25, 25_000.0].into_iter().map(axis).collect();
        assert_eq!(shown, ["0", "10", "2.5", "0.25", "25k"]);
    }

    #[test]
    fn percent_neither_hides_a_failure_nor_a_success() {
        let shown: Vec<String> = [0.0, 0.03, 0.1, 26.4, 99.97, 100.0].into_iter().map(percent).collect();
        assert_eq!(shown, ["0", "<0.1", "0.1", "26.4", ">99.9", "100"]);
    }

    #[test]
    fn durations_change_their_unit() {
        let shown: Vec<String> = [0.42, 9.0, 812.4, 2100.0, 45_000.0, 300_000.0].into_iter().map(duration).collect();
        assert_eq!(shown, ["0.4 ms", "9 ms", "812 ms", "2.1 s", "45 s", "5 min"]);
        assert_eq!([7, 1_240, 48_300, 2_100_000].map(micros), ["7 µs", "1.2 ms", "48 ms", "2.1 s"]);
    }

    #[test]
    fn times_are_the_readers() {
        assert_eq!(time_of_day(1_700_000_000_000, 0), "22:13:20");
        assert_eq!(time_of_day_ms(1_700_000_000_042, 0), "22:13:20.042");
        assert_eq!(hour_minute(1_700_000_000_000, 120), "00:13");
        assert_eq!(age(4 * 60_000), "4 min");
    }
}
