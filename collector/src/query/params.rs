//! Reads query strings: forgiving about form, clear about which parameter was wrong.

use std::collections::BTreeSet;

use crate::{duration, percent};

/// Seconds that a window may span at most.
pub const DURATION_S_MAX: u64 = 90 * 24 * 3600;
/// Bytes of one parameter's value.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// What was wrong with one parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{name}`: {reason}")]
pub struct ParamError {
    pub name: String,
    pub reason: String,
}

impl ParamError {
    pub fn new(name: &str, reason: impl Into<String>) -> Self {
        Self { name: name.to_owned(), reason: reason.into() }
    }
}

/// The parameters of one request. Names nobody asks for are ignored; of a name given twice the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    #[must_use]
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// Reads `a=1&b=2`; what is not valid UTF-8 after decoding is replaced, never refused.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        Self(query.split('&').filter(|pair| !pair.is_empty()).map(decode_pair).collect())
    }

    /// The value, which may be empty; `None` when the name is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// All values of a name that may be given several times, in their order.
    pub fn every<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// The value, unless absent or empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// A comma-separated list without blanks and doubles; empty when absent.
    ///
    /// # Errors
    /// When the list is longer than [`VALUE_BYTES_MAX`].
    pub fn list(&self, name: &str) -> Result<BTreeSet<String>, ParamError> {
        let text = self.get(name).unwrap_or_default();
        if text.len() > VALUE_BYTES_MAX {
            return Err(ParamError::new(name, format!("is longer than {VALUE_BYTES_MAX} bytes")));
        }
        Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
    }

    /// `true`, `1`, `yes`, `on` and their opposites; `default` when absent or empty.
    ///
    /// # Errors
    /// When it is another word.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, ParamError> {
        match self.filled(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some("false" | "0" | "no" | "off") => Ok(false),
            Some(other) => Err(ParamError::new(name, format!("`{other}` is neither true nor false"))),
        }
    }

    /// One of `words`, compared without case; `default` when absent or empty.
    ///
    /// # Errors
    /// When it is another word; the message lists the known ones.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)], default: T) -> Result<T, ParamError> {
        let Some(given) = self.filled(name) else { return Ok(default) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(given));
        found.map(|(_, value)| *value).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            ParamError::new(name, format!("`{given}` is not one of {}", known.join(", ")))
        })
    }

    /// `600s`, `10m`, `1h30m`, `7d` or plain seconds; `default_s` when absent or empty.
    ///
    /// # Errors
    /// When it cannot be read, is zero, or is longer than [`DURATION_S_MAX`].
    pub fn duration_s(&self, name: &str, default_s: u64) -> Result<u64, ParamError> {
        let Some(text) = self.filled(name) else { return Ok(default_s) };
        let seconds = parse_duration_s(text)
            .ok_or_else(|| ParamError::new(name, format!("`{text}` is not a duration such as 600s, 10m or 1h")))?;
        match seconds {
            0 => Err(ParamError::new(name, "must be longer than zero")),
            s if s > DURATION_S_MAX => Err(ParamError::new(name, format!("`{text}` is longer than 90d"))),
            s => Ok(s),
        }
    }

    /// Unix seconds (fractions allowed) or, from 100,000,000,000 on, Unix milliseconds; `default_ms` when absent or empty.
    ///
    /// # Errors
    /// When it is not such a number.
    pub fn time_ms(&self, name: &str, default_ms: i64) -> Result<i64, ParamError> {
        const MS_FROM: f64 = 1e11;
        const MS_MAX: f64 = 1e14;
        let Some(text) = self.filled(name) else { return Ok(default_ms) };
        let number: f64 = text.parse().map_err(|_| ParamError::new(name, format!("`{text}` is not a Unix time")))?;
        let ms = if number >= MS_FROM { number } else { number * 1000.0 };
        if !(0.0..MS_MAX).contains(&ms) {
            return Err(ParamError::new(name, format!("`{text}` is not a Unix time")));
        }
        Ok(ms.round() as i64)
    }
}

/// A number without a unit is seconds.
fn parse_duration_s(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| duration::parse(text).map(|duration| duration.as_secs()))
}

/// Name and value of one parameter, decoded.
pub fn decode_pair(pair: &str) -> (String, String) {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (percent::decode(name), percent::decode(value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Params, parse_duration_s};
    use proptest::prelude::*;

    #[test]
    fn durations_in_all_spellings() {
        for (text, seconds) in [("600s", 600), ("10m", 600), ("600", 600), ("1h30m", 5400), ("7d", 604_800), ("1w", 604_800)] {
            assert_eq!(parse_duration_s(text), Some(seconds), "{text}");
        }
        for text in ["s", "10x", "-5m", "1.5h", "10 m", "99999999999999999999s", "9999999999999999999w"] {
            assert_eq!(parse_duration_s(text), None, "{text}");
        }
    }

    #[test]
    fn errors_name_the_parameter() {
        let params = Params::parse("duration=soon&flag=maybe&queryTime=now&size=huge&long=100d&zero=0s");
        let errors = [
            params.duration_s("duration", 60).unwrap_err().to_string(),
            params.flag("flag", false).unwrap_err().to_string(),
            params.time_ms("queryTime", 0).unwrap_err().to_string(),
            params.choice("size", &[("small", 1), ("big", 2)], 1).unwrap_err().to_string(),
            params.duration_s("long", 60).unwrap_err().to_string(),
            params.duration_s("zero", 60).unwrap_err().to_string(),
        ];
        assert_eq!(
            errors,
            [
                "parameter `duration`: `soon` is not a duration such as 600s, 10m or 1h",
                "parameter `flag`: `maybe` is neither true nor false",
                "parameter `queryTime`: `now` is not a Unix time",
                "parameter `size`: `huge` is not one of small, big",
                "parameter `long`: `100d` is longer than 90d",
                "parameter `zero`: must be longer than zero",
            ]
        );
    }

    #[test]
    fn lists_drop_blanks_and_doubles() {
        let params = Params::parse("namespaces=b,%20a,,b&empty=");
        assert_eq!(params.list("namespaces").unwrap().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(params.list("empty").unwrap().is_empty());
        assert_eq!(params.get("empty"), Some(""));
        assert_eq!(params.get("absent"), None);
    }

    #[test]
    fn times_in_seconds_and_milliseconds() {
        let params = Params::parse("a=1700000000&b=1700000000123&c=1700000000.5&d=-1&e=NaN");
        assert_eq!(params.time_ms("a", 0).unwrap(), 1_700_000_000_000);
        assert_eq!(params.time_ms("b", 0).unwrap(), 1_700_000_000_123);
        assert_eq!(params.time_ms("c", 0).unwrap(), 1_700_000_000_500);
        assert!(params.time_ms("d", 0).is_err());
        assert!(params.time_ms("e", 0).is_err());
    }

    #[test]
    fn the_last_of_two_counts_and_escapes_are_undone() {
        let params = Params::parse("a=1&a=2+3%2Fx&broken=%zz%4");
        assert_eq!(params.get("a"), Some("2 3/x"));
        assert_eq!(params.get("broken"), Some("%zz%4"));
    }

    proptest! {
        #[test]
        fn no_query_string_panics(text in ".*") {
            let params = Params::parse(&text);
            for name in ["a", "duration"] {
                let _ = (params.duration_s(name, 1), params.time_ms(name, 1), params.flag(name, true), params.list(name));
            }
        }
    }
}
