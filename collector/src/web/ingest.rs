//! Tells what came in through which door, as exact counts since the store was created.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use sidelight_api::ingest::{Door, IngestReport};

use super::error::Refusal;
use super::parts::Shared;

/// How the store names outcomes of refusal: this, then the reason.
const REFUSED: &str = "refused:";

pub async fn report(State(shared): State<Arc<Shared>>) -> Result<Json<IngestReport>, Refusal> {
    Ok(Json(doors(shared.store.ingest_counts().await?)))
}

fn doors(counts: Vec<(String, String, String, u64)>) -> IngestReport {
    let mut doors: BTreeMap<(String, String), Door> = BTreeMap::new();
    for (door, signal, outcome, total) in counts {
        let row = doors.entry((door.clone(), signal.clone())).or_insert_with(|| Door {
            door,
            signal,
            received: 0,
            stored: 0,
            refused: BTreeMap::new(),
            bytes: 0,
        });
        match outcome.as_str() {
            "received" => row.received += total,
            "stored" => row.stored += total,
            "bytes" => row.bytes += total,
            other => {
                let reason = other.strip_prefix(REFUSED).unwrap_or(other);
                *row.refused.entry(reason.to_owned()).or_default() += total;
            }
        }
    }
    IngestReport { doors: doors.into_values().collect() }
}

#[cfg(test)]
mod tests {
    use super::doors;
    use sidelight_api::ingest::Door;

    #[test]
    fn counts_become_one_row_per_door_and_signal() {
        let count =
            |door: &str, signal: &str, outcome: &str, total| (door.to_owned(), signal.to_owned(), outcome.to_owned(), total);
        let report = doors(vec![
            count("zipkin", "spans", "received", 5),
            count("scrape", "samples", "received", 120),
            count("scrape", "samples", "refused:unused", 90),
            count("scrape", "samples", "stored", 30),
            count("scrape", "samples", "bytes", 4096),
            count("zipkin", "spans", "duplicate", 2),
        ]);
        let row = |door: &str, signal: &str, received, stored, refused: (&str, u64), bytes| Door {
            door: door.to_owned(),
            signal: signal.to_owned(),
            received,
            stored,
            refused: [(refused.0.to_owned(), refused.1)].into(),
            bytes,
        };
        assert_eq!(
            report.doors,
            [row("scrape", "samples", 120, 30, ("unused", 90), 4096), row("zipkin", "spans", 5, 0, ("duplicate", 2), 0)]
        );
    }
}
