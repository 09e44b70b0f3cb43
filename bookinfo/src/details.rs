//! The details service: author, pages, publisher.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::server::NotANumber;
use crate::{books, server};

/// Serves until `shutdown`.
///
/// # Errors
/// The listener broke.
pub async fn serve(listener: TcpListener, shutdown: CancellationToken) -> std::io::Result<()> {
    server::serve(listener, router(), shutdown).await
}

/// Its routes, for serving in another way.
pub fn router() -> Router {
    server::basics("Details is healthy").route("/details/{id}", get(details))
}

async fn details(Path(id): Path<String>) -> Result<Json<books::Details>, NotANumber> {
    Ok(Json(books::details(server::product_id(&id)?)))
}
