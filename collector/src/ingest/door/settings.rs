//! What the doors have to be told, and what can be wrong with it.

use super::{DoorLimits, SecuritySettings};

/// Largest body that a door can be told to take; the budget of all bodies of a door is a few times as much.
pub const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most requests that a door can be told to read at the same time.
pub const IN_FLIGHT_MAX: usize = 4096;

/// For all doors through which telemetry is pushed.
#[derive(Clone, Debug, Default)]
pub struct DoorSettings {
    pub limits: DoorLimits,
    pub security: SecuritySettings,
    /// TLS and tokens guard Zipkin's door as well. The proxies that this collector configures send there in the clear.
    pub guard_zipkin: bool,
}

impl DoorSettings {
    /// Zipkin's servers take 5 MiB whatever OTLP's do; the rest is the same.
    #[must_use]
    pub fn zipkin_limits(&self) -> DoorLimits {
        let DoorLimits { body_bytes, decoded_bytes, .. } = DoorLimits::zipkin();
        DoorLimits { body_bytes, decoded_bytes, ..self.limits.clone() }
    }

    pub fn check(&self, mistakes: &mut Vec<String>) {
        let limits = &self.limits;
        if !(1024..=BODY_BYTES_MAX).contains(&limits.body_bytes) || limits.decoded_bytes < limits.body_bytes {
            mistakes.push(format!("a door's bodies have 1024 to {BODY_BYTES_MAX} bytes, decompressed not fewer than sent"));
        }
        if limits.bytes_in_flight < limits.body_bytes + limits.decoded_bytes {
            mistakes.push("the bytes of all bodies in a door are fewer than those of one".to_owned());
        }
        if !(1..=IN_FLIGHT_MAX).contains(&limits.in_flight) {
            mistakes.push(format!("a door reads 1 to {IN_FLIGHT_MAX} requests at the same time, not {}", limits.in_flight));
        }
        if limits.items == 0 {
            mistakes.push("a door that takes no items takes nothing".to_owned());
        }
    }
}
