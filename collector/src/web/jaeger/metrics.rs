//! The endpoints of Jaeger's Monitor tab, which this collector does not answer: its rates are of the mesh, not of spans.

use axum::http::StatusCode;

use super::answer::Problem;

/// As of a Jaeger without a store for metrics; its interface then says how to set one up.
pub(super) async fn disabled() -> Problem {
    Problem::new(StatusCode::NOT_IMPLEMENTED, "metrics querying is currently disabled")
}
