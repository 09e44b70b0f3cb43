//! What came in through which door: exact integers that survive a restart.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Answer of `GET /api/ingest`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IngestReport {
    pub doors: Vec<Door>,
}

/// Counts since the store was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Door {
    /// `scrape`, `zipkin`, `otlp-grpc`, `otlp-http`, `als`.
    pub door: String,
    /// `samples`, `spans`, `logs`.
    pub signal: String,
    pub received: u64,
    pub stored: u64,
    /// By reason.
    pub refused: BTreeMap<String, u64>,
    pub bytes: u64,
}
