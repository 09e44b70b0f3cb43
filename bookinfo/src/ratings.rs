//! The ratings service: how many stars each reviewer gave, and the stars that visitors add.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server;

/// Books whose posted ratings are remembered.
const BOOKS_MAX: usize = 1_000;
/// Reviewers in one posted rating.
const REVIEWERS_MAX: usize = 100;

/// Stars of one book, by reviewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratings {
    pub id: u64,
    pub ratings: BTreeMap<String, u8>,
}

type Posted = Arc<Mutex<HashMap<u64, BTreeMap<String, u8>>>>;

/// Serves until `shutdown`; posted ratings live as long as the service.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    server::serve(listener, router(), shutdown).await
}

/// Its routes, for serving in another way.
pub fn router() -> Router {
    server::basics("Ratings is healthy")
        .merge(Router::new().route("/ratings/{id}", get(read).post(post)).with_state(Posted::default()))
}

async fn read(State(posted): State<Posted>, Path(id): Path<String>) -> Response {
    let id = match server::product_id(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    let posted = posted.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
    Json(Ratings { id, ratings: posted.unwrap_or_else(well_known) }).into_response()
}

async fn post(State(posted): State<Posted>, Path(id): Path<String>, body: String) -> Response {
    let id = match server::product_id(&id) {
        Ok(id) => id,
        Err(refusal) => return refusal.into_response(),
    };
    let ratings = match serde_json::from_str::<BTreeMap<String, u8>>(&body) {
        Ok(ratings) if ratings.len() <= REVIEWERS_MAX && ratings.values().all(|stars| *stars <= 5) => ratings,
        _ => return server::error(StatusCode::BAD_REQUEST, "please provide valid ratings JSON"),
    };
    let mut books = posted.lock().unwrap_or_else(PoisonError::into_inner);
    if books.len() >= BOOKS_MAX && !books.contains_key(&id) {
        return server::error(StatusCode::INSUFFICIENT_STORAGE, "too many rated books");
    }
    books.insert(id, ratings.clone());
    Json(Ratings { id, ratings }).into_response()
}

fn well_known() -> BTreeMap<String, u8> {
    BTreeMap::from([("Reviewer1".to_owned(), 5), ("Reviewer2".to_owned(), 4)])
}
