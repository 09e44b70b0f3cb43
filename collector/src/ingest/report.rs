//! `GET /api/ingest`: what came in through which door, and what became of it.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use sidelight_api::ingest::{Door, IngestReport};

use crate::pipeline::Intake;
use crate::store::{Store, StoreError};
use crate::web::error::Refusal;

pub fn router(store: Arc<dyn Store>, intake: Intake) -> Router {
    Router::new().route("/api/ingest", get(report)).with_state((store, intake))
}

async fn report(State((store, intake)): State<(Arc<dyn Store>, Intake)>) -> Result<Json<IngestReport>, Refusal> {
    // What was refused until now is told now, not with the next batch.
    intake.flush().await;
    Ok(Json(read(&*store).await?))
}

/// All doors that anything came through.
pub async fn read(store: &dyn Store) -> Result<IngestReport, StoreError> {
    let mut report = IngestReport::default();
    for (door, signal, outcome, total) in store.ingest_counts().await? {
        let known = report.doors.iter().position(|known| known.door == door && known.signal == signal);
        let index = known.unwrap_or_else(|| {
            report.doors.push(Door { door, signal, received: 0, stored: 0, refused: Default::default(), bytes: 0 });
            report.doors.len() - 1
        });
        let row = &mut report.doors[index];
        match outcome.strip_prefix("refused:") {
            Some(reason) => *row.refused.entry(reason.to_owned()).or_default() += total,
            None if outcome == "received" => row.received += total,
            None if outcome == "stored" => row.stored += total,
            None => row.bytes += total,
        }
    }
    Ok(report)
}
