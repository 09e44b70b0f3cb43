//! Parameters as Prometheus takes them: in the query string, in a posted form, or in both.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::problem::Problem;
use crate::duration;
use crate::query::params::decode_pair;
use crate::store::sample::matcher::{Matcher, parse_selector};

/// Selectors of one request.
const SELECTORS_MAX: usize = 64;
/// Parameters of one request.
const PARAMETERS_MAX: usize = 1_000;

pub(super) struct Form(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let body = Bytes::from_request(request, state).await.map_err(|error| Problem::bad_data(error.to_string()))?;
        let form = String::from_utf8_lossy(&body);
        let pairs = form.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty());
        let pairs: Vec<_> = pairs.take(PARAMETERS_MAX + 1).map(decode_pair).collect();
        if pairs.len() > PARAMETERS_MAX {
            return Err(Problem::bad_data(format!("a request may have {PARAMETERS_MAX} parameters")));
        }
        Ok(Self(pairs))
    }
}

impl Form {
    /// The first of that name, unless it is empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All of that name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn query(&self) -> &str {
        self.get("query").unwrap_or_default()
    }

    /// A time in Unix milliseconds.
    pub fn time_ms(&self, name: &str, default_ms: i64) -> Result<i64, Problem> {
        let Some(text) = self.get(name) else { return Ok(default_ms) };
        time_ms(text).ok_or_else(|| Problem::parameter(name, format!("cannot parse \"{text}\" to a valid timestamp")))
    }

    pub fn required_time_ms(&self, name: &str) -> Result<i64, Problem> {
        match self.get(name) {
            Some(_) => self.time_ms(name, 0),
            None => Err(Problem::parameter(name, "cannot parse \"\" to a valid timestamp")),
        }
    }

    pub fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let parsed = duration(text);
        parsed.map(Some).ok_or_else(|| Problem::parameter(name, format!("cannot parse \"{text}\" to a valid duration")))
    }

    /// Elements of the answer; all without it.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.get("limit").map(str::parse) {
            None | Some(Ok(0)) => Ok(usize::MAX),
            Some(Ok(limit)) => Ok(limit),
            Some(Err(_)) => Err(Problem::parameter("limit", "it is no number")),
        }
    }

    /// A number of things, of which 0 is one; all without it, or when it is negative.
    pub fn count(&self, name: &str) -> Result<usize, Problem> {
        match self.get(name).map(str::parse::<i64>) {
            None => Ok(usize::MAX),
            Some(Ok(count)) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            Some(Err(_)) => Err(Problem::bad_data(format!("{name} must be a number"))),
        }
    }

    /// Each `match[]`.
    pub fn selectors(&self) -> Result<Vec<Vec<Matcher>>, Problem> {
        let texts: Vec<&String> = self.0.iter().filter(|(name, _)| name == "match[]").map(|(_, value)| value).collect();
        if texts.len() > SELECTORS_MAX {
            return Err(Problem::parameter("match[]", format!("there may be {SELECTORS_MAX} of them")));
        }
        texts.into_iter().map(|text| parse_selector(text).map_err(Problem::from)).collect()
    }
}

/// Unix seconds with a fraction, or RFC 3339.
fn time_ms(text: &str) -> Option<i64> {
    /// About the year 292,000: what milliseconds in 64 bits can tell.
    const SECONDS_MAX: f64 = 9.2e15;
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.abs() < SECONDS_MAX).then_some((seconds * 1000.0).round() as i64);
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Seconds, or words such as `1h30m` and `500ms`.
fn duration(text: &str) -> Option<Duration> {
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => duration::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_in_both_spellings() {
        assert_eq!(time_ms("1435781430.781"), Some(1_435_781_430_781));
        assert_eq!(time_ms("2015-07-01T20:10:30.781Z"), Some(1_435_781_430_781));
        assert_eq!(time_ms("2015-07-01T22:10:30+02:00"), Some(1_435_781_430_000));
        assert_eq!(duration("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(duration("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for bad in ["NaN", "Inf", "1e300", "yesterday", ""] {
            assert_eq!(time_ms(bad), None, "{bad}");
        }
        for bad in ["-1", "NaN", "1x", "m", "99999999999999999999y"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
