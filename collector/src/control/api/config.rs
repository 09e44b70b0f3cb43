//! `/api/config…`: the doors to the configuration service.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use sidelight_api::config::{
    ApplyRequest, ApplyResponse, History, ObjectDetail, ObjectList, Revision, RollbackRequest, SaveRequest, ValidateRequest,
    ValidateResponse,
};

use super::Control;
use super::body::{Body, By, Key};
use crate::control::Inner;
use crate::control::config::ConfigError;

type Answer<T> = Result<Json<T>, ConfigError>;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    /// Comma-separated; absent means all.
    namespaces: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct DeleteQuery {
    base_revision: Option<u64>,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
pub(super) struct RevisionPath {
    revision: u64,
}

pub(super) async fn list(State(inner): Control, Query(query): Query<ListQuery>) -> Json<ObjectList> {
    let words = query.namespaces.unwrap_or_default();
    let namespaces: Vec<String> = words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    Json(inner.list(&namespaces))
}

pub(super) async fn apply(State(inner): Control, By(author): By, Body(request): Body<ApplyRequest>) -> Answer<ApplyResponse> {
    counted(&inner, inner.apply(&request, &author).await)
}

pub(super) async fn validate(State(inner): Control, Body(request): Body<ValidateRequest>) -> Json<ValidateResponse> {
    Json(inner.validate(&request))
}

pub(super) async fn detail(State(inner): Control, Key(key): Key) -> Answer<ObjectDetail> {
    inner.detail(&key).map(Json)
}

pub(super) async fn save(
    State(inner): Control,
    Key(key): Key,
    By(author): By,
    Body(request): Body<SaveRequest>,
) -> Answer<ApplyResponse> {
    counted(&inner, inner.save(&key, &request, &author).await)
}

pub(super) async fn delete(
    State(inner): Control,
    Key(key): Key,
    By(author): By,
    Query(query): Query<DeleteQuery>,
) -> Answer<ApplyResponse> {
    counted(&inner, inner.delete(&key, query.base_revision, &query.message, &author).await)
}

pub(super) async fn history(State(inner): Control, Key(key): Key) -> Answer<History> {
    inner.history(&key).await.map(Json)
}

pub(super) async fn revision(State(inner): Control, Key(key): Key, Path(path): Path<RevisionPath>) -> Answer<Revision> {
    inner.revision(&key, path.revision).await.map(Json)
}

pub(super) async fn roll_back(
    State(inner): Control,
    Key(key): Key,
    By(author): By,
    Body(request): Body<RollbackRequest>,
) -> Answer<ApplyResponse> {
    counted(&inner, inner.roll_back(&key, &request, &author).await)
}

fn counted(inner: &Inner, result: Result<ApplyResponse, ConfigError>) -> Answer<ApplyResponse> {
    inner.settings.metrics.edited(if result.is_ok() { "accepted" } else { "refused" });
    result.map(Json)
}
