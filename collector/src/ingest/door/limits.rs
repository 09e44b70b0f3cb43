//! How much a door takes.

use std::num::NonZeroU32;

/// Bounds of one door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoorLimits {
    /// Bytes of one body as it is sent.
    pub body_bytes: usize,
    /// Bytes of one body after decompression.
    pub decoded_bytes: usize,
    /// Spans, samples or log records of one request.
    pub items: usize,
    /// Requests that are read, decoded or written at the same time; beyond this the door answers "busy".
    pub in_flight: usize,
    /// Bytes of all bodies that are in the door, as sent and decoded; beyond this the door answers "busy".
    pub bytes_in_flight: usize,
    /// Items per second that come in on average; a second's worth may come at once. No limit without it.
    pub rate: Option<NonZeroU32>,
}

impl Default for DoorLimits {
    fn default() -> Self {
        Self {
            body_bytes: 4 * 1024 * 1024,
            decoded_bytes: 16 * 1024 * 1024,
            items: 50_000,
            in_flight: 64,
            bytes_in_flight: 64 * 1024 * 1024,
            rate: None,
        }
    }
}

impl DoorLimits {
    /// Zipkin's servers take bodies of 5 MiB, compressed or not.
    #[must_use]
    pub fn zipkin() -> Self {
        Self { body_bytes: 5 * 1024 * 1024, decoded_bytes: 5 * 1024 * 1024, ..Self::default() }
    }
}
