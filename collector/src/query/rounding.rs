//! Numbers as Kiali writes them into its graph: strings, rates with two to five decimals, percentages with one.

/// Decimals that every rate has.
const RATE_DECIMALS_MIN: usize = 2;
/// Decimals that a small rate may grow to until one significant digit shows.
const RATE_DECIMALS_MAX: usize = 5;

/// A rate per second: two decimals, more (up to five) when the value would otherwise show as zero.
#[must_use]
pub fn rate(value: f64) -> String {
    let decimals = decimals_to_first_digit(value).max(RATE_DECIMALS_MIN);
    format!("{value:.decimals$}")
}

/// A percentage with one decimal.
#[must_use]
pub fn percent(value: f64) -> String {
    format!("{value:.1}")
}

/// Milliseconds, bytes per second and the share of mutual TLS: no decimals.
#[must_use]
pub fn whole(value: f64) -> String {
    format!("{value:.0}")
}

/// `part` of `total` in percent; 0 when there is no total.
#[must_use]
pub fn share(part: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { part as f64 / total as f64 * 100.0 }
}

/// Three decimals, for numbers that travel as JSON numbers.
#[must_use]
pub fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn decimals_to_first_digit(value: f64) -> usize {
    if value <= 0.0 {
        return 0;
    }
    let mut value = value;
    let mut decimals = 0;
    while value < 1.0 && decimals < RATE_DECIMALS_MAX {
        value *= 10.0;
        decimals += 1;
    }
    decimals
}

#[cfg(test)]
mod tests {
    use super::{percent, rate, share, thousandths, whole};

    #[test]
    fn rates_show_at_least_two_decimals_and_one_digit() {
        for (value, text) in [
            (0.0, "0.00"),
            (12.0, "12.00"),
            (1234.5678, "1234.57"),
            (0.5, "0.50"),
            (0.016_666_7, "0.02"),
            (0.009, "0.009"),
            (0.001_666_7, "0.002"),
            (0.000_4, "0.0004"),
            (0.000_04, "0.00004"),
            (0.000_004, "0.00000"),
            (0.125, "0.12"),
            (0.995, "0.99"),
        ] {
            assert_eq!(rate(value), text, "{value}");
        }
    }

    #[test]
    fn percentages_show_one_decimal() {
        for (value, text) in [(100.0, "100.0"), (33.333, "33.3"), (0.04, "0.0"), (66.666_7, "66.7"), (0.25, "0.2")] {
            assert_eq!(percent(value), text, "{value}");
        }
    }

    #[test]
    fn whole_numbers_round_half_to_even() {
        for (value, text) in [(95.5, "96"), (96.5, "96"), (0.4, "0"), (100.0, "100")] {
            assert_eq!(whole(value), text, "{value}");
        }
    }

    #[test]
    fn a_share_of_nothing_is_zero() {
        assert!(share(0, 0).abs() < f64::EPSILON);
        assert!((share(1, 4) - 25.0).abs() < 1e-12);
    }

    #[test]
    fn thousandths_round() {
        assert!((thousandths(1.234_56) - 1.235).abs() < 1e-12);
    }
}
