//! The faults a route injects on purpose: a delay, an abort, each for a share of the requests.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::common::fault::v3 as common;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3 as fault;
use envoy_types::pb::envoy::r#type::v3 as kind;
use envoy_types::pb::google::protobuf::Any;
use prost::Message;
use rand::Rng;

use super::value::{At, duration};
use super::{ConfigError, Notes};

/// The key of Envoy's fault filter in a route's `typed_per_filter_config`.
pub const FILTER: &str = "envoy.filters.http.fault";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fault {
    pub delay: Option<(Duration, Share)>,
    /// HTTP status of the answer that is given instead of the upstream's.
    pub abort: Option<(u16, Share)>,
}

/// A part of a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

const MILLION: u32 = 1_000_000;

impl Share {
    pub fn compile(from: Option<&kind::FractionalPercent>) -> Self {
        let Some(from) = from else { return Self(0) };
        let scale = match kind::fractional_percent::DenominatorType::try_from(from.denominator) {
            Ok(kind::fractional_percent::DenominatorType::TenThousand) => 100,
            Ok(kind::fractional_percent::DenominatorType::Million) => 1,
            _ => 10_000,
        };
        Self(from.numerator.saturating_mul(scale).min(MILLION))
    }

    pub fn hits(self) -> bool {
        self.0 >= MILLION || (self.0 > 0 && rand::rng().random_range(0..MILLION) < self.0)
    }
}

impl Fault {
    pub fn compile(object: &str, any: &Any, notes: &mut Notes) -> Result<Self, ConfigError> {
        let at = At { object, field: "typed_per_filter_config.envoy.filters.http.fault" };
        let from =
            fault::HttpFault::decode(any.value.as_slice()).map_err(|error| at.error(format!("cannot be decoded: {error}")))?;
        if !from.headers.is_empty() || from.response_rate_limit.is_some() {
            notes.add("fault filter: `headers` and `response_rate_limit` are not honoured");
        }
        let delay = match from.delay {
            Some(common::FaultDelay {
                percentage,
                fault_delay_secifier: Some(common::fault_delay::FaultDelaySecifier::FixedDelay(fixed)),
            }) => Some((duration(at, &fixed)?, Share::compile(percentage.as_ref()))),
            _ => None,
        };
        let abort = from.abort.and_then(|abort| {
            let status = match abort.error_type? {
                fault::fault_abort::ErrorType::HttpStatus(status) => u16::try_from(status).ok()?,
                _ => {
                    notes.add("fault filter: only `http_status` aborts are honoured");
                    return None;
                }
            };
            Some((status, Share::compile(abort.percentage.as_ref())))
        });
        if let Some((status, _)) = abort
            && !(200..600).contains(&status)
        {
            return Err(at.error(format!("http_status {status} is not between 200 and 599")));
        }
        Ok(Self { delay, abort })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn share(numerator: u32, denominator: i32) -> Share {
        Share::compile(Some(&kind::FractionalPercent { numerator, denominator }))
    }

    #[test]
    fn shares_of_every_denominator_count_in_millionths() {
        assert_eq!(share(50, 0), Share(500_000));
        assert_eq!(share(50, 1), Share(5_000));
        assert_eq!(share(50, 2), Share(50));
        assert_eq!(share(200, 0), Share(1_000_000));
        assert_eq!(Share::compile(None), Share(0));
    }

    #[test]
    fn all_hits_always_and_none_never() {
        assert!((0..100).all(|_| share(100, 0).hits()));
        assert!((0..100).all(|_| !share(0, 0).hits()));
    }
}
