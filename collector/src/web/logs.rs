//! Answers searches for log lines.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use sidelight_api::logs::LogList;

use super::error::Refusal;
use super::parts::Shared;
use crate::clock;
use crate::query::logs::{list, read_query};
use crate::query::params::Params;

pub async fn find(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Result<Json<LogList>, Refusal> {
    let query = read_query(&Params::parse(&query.unwrap_or_default()), clock::now_ms())?;
    let answer = shared.store.find_logs(&query).await?;
    Ok(Json(tokio::task::spawn_blocking(move || list(&answer)).await?))
}
