//! When an endpoint is left out for a while because it fails.

use envoy_types::pb::envoy::config::cluster::v3::OutlierDetection;
use envoy_types::pb::google::protobuf::UInt32Value;
use sidelight_mesh::config::OutlierDetection as Settings;

use super::protocol::positive;
use crate::control::wire::{duration, uint};

pub(super) fn detection(settings: &Settings) -> OutlierDetection {
    let old_form = settings.consecutive_errors.map(|errors| u32::try_from(errors).unwrap_or(0));
    let server_errors = settings.consecutive_5xx_errors.or(old_form);
    let split = settings.split_external_local_origin_errors == Some(true);
    let local = settings.consecutive_local_origin_failures.filter(|failures| split && *failures > 0);
    OutlierDetection {
        consecutive_5xx: server_errors.map(uint),
        enforcing_consecutive_5xx: enforced(server_errors),
        consecutive_gateway_failure: settings.consecutive_gateway_errors.map(uint),
        enforcing_consecutive_gateway_failure: enforced(settings.consecutive_gateway_errors),
        interval: settings.interval.map(|d| duration(d.0)),
        base_ejection_time: settings.base_ejection_time.map(|d| duration(d.0)),
        max_ejection_percent: settings.max_ejection_percent.and_then(positive).map(|p| uint(p.min(100))),
        split_external_local_origin_errors: split,
        consecutive_local_origin_failure: local.map(uint),
        enforcing_consecutive_local_origin_failure: local.map(|_| uint(100)),
        // Istio has no such setting: only counted failures put an endpoint out.
        enforcing_success_rate: Some(uint(0)),
        ..OutlierDetection::default()
    }
}

/// Below this share of healthy endpoints all of them are used again, percent.
pub(super) fn panic_threshold(settings: &Settings) -> f64 {
    f64::from(settings.min_health_percent.unwrap_or(0).clamp(0, 100))
}

/// Zero turns the kind of failure off.
fn enforced(errors: Option<u32>) -> Option<UInt32Value> {
    errors.map(|errors| uint(if errors == 0 { 0 } else { 100 }))
}
