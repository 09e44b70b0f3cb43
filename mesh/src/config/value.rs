//! Small values that several kinds share: durations, percentages, string matches.

use std::time;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

/// A duration as written in YAML: `1h`, `1m30s`, `0.5s`, `250ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub time::Duration);

impl Duration {
    /// Reads numbers with units `h`, `m`, `s`, `ms`, `us`, `ns`, one behind the other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut seconds = 0f64;
        if rest.is_empty() {
            return None;
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            seconds += number.parse::<f64>().ok()? * unit_seconds(unit)?;
            rest = tail;
        }
        time::Duration::try_from_secs_f64(seconds).ok().map(Self)
    }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    match unit {
        "h" => Some(3600.0),
        "m" => Some(60.0),
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" | "µs" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a duration such as `500ms`, `10s` or `1m`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        Duration::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// `{value: 12.5}`, from 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Percent {
    pub value: f64,
}

/// How a text is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawStringMatch")]
pub enum StringMatch {
    Exact(String),
    Prefix(String),
    /// RE2, matching the whole text.
    Regex(String),
    /// Written as `{}`: the text only has to be there.
    #[default]
    Present,
}

#[derive(Default, Deserialize)]
#[serde(default, rename = "StringMatch")]
struct RawStringMatch {
    exact: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
}

impl TryFrom<RawStringMatch> for StringMatch {
    type Error = &'static str;

    fn try_from(raw: RawStringMatch) -> Result<Self, Self::Error> {
        match (raw.exact, raw.prefix, raw.regex) {
            (None, None, None) => Ok(Self::Present),
            (Some(text), None, None) => Ok(Self::Exact(text)),
            (None, Some(text), None) => Ok(Self::Prefix(text)),
            (None, None, Some(text)) => Ok(Self::Regex(text)),
            _ => Err("more than one of `exact`, `prefix` and `regex` is given; keep one"),
        }
    }
}

/// `{number: 9080}`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PortSelector {
    pub number: u16,
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortOrName {
    Number(u16),
    Name(String),
}

impl<'de> Deserialize<'de> for PortOrName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortOrNameVisitor)
    }
}

struct PortOrNameVisitor;

impl Visitor<'_> for PortOrNameVisitor {
    type Value = PortOrName;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a port number or name")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<PortOrName, E> {
        let port = u16::try_from(number);
        port.map(PortOrName::Number).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<PortOrName, E> {
        let port = u16::try_from(number);
        port.map(PortOrName::Number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<PortOrName, E> {
        Ok(PortOrName::Name(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn durations_are_read() {
        let millis = |text: &str| Duration::parse(text).map(|d| d.0.as_millis());
        assert_eq!(millis("1s"), Some(1000));
        assert_eq!(millis("500ms"), Some(500));
        assert_eq!(millis("0.5s"), Some(500));
        assert_eq!(millis("1h"), Some(3_600_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("0s"), Some(0));
        for wrong in ["", "10", "s", "1 s", "-1s", "1x", "1..5s", "99999999999999999999h", "ten"] {
            assert_eq!(millis(wrong), None, "{wrong}");
        }
    }
}
