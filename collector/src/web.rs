//! The collector's HTTP server: the dashboard's files, the JSON API, and what keeps strangers out.

mod api;
mod assets;
pub mod auth;
mod client;
pub mod error;
pub mod federate;
mod graph;
mod guard;
mod health;
pub mod jaeger;
mod layers;
mod logs;
mod mesh;
mod namespaces;
mod parts;
pub mod prometheus;
pub mod serve;
mod timeline;
mod traces;
mod turns;
pub mod zipkin;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use self::auth::Auth;
pub use self::guard::{HostPolicy, warn_if_exposed};
pub use self::layers::OWN_TRACES;
pub use self::mesh::MeshSource;
pub use self::parts::{StatusFacts, WebParts};
pub use self::serve::{Transport, serve, serve_over};
pub use self::turns::Turns;

/// Bytes of a request's body, unless a route says otherwise.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Puts everything that is served on the dashboard's port together.
pub fn app(parts: WebParts) -> Router {
    let WebParts { api, open, auth, hosts, .. } = &parts;
    let (auth, hosts) = (Arc::clone(auth), hosts.clone());
    let protected = api::routes().with_state(Arc::new(parts.shared())).merge(api.clone());
    let protected = protected.layer(from_fn_with_state(Arc::clone(&auth), auth::require));
    let routes = Router::new()
        .merge(protected)
        .merge(auth::routes(auth))
        .merge(health::routes(Arc::clone(&parts.store), Arc::clone(&parts.metrics)))
        .merge(open.clone())
        .fallback(assets::serve)
        .method_not_allowed_fallback(error::method_not_allowed);
    dress(routes, hosts)
}

/// A port on which programs write without a login, under whatever name they know us by, and on which reading is as
/// protected as on the dashboard's. A foreign page can do neither.
pub fn door(writes: Router, reads: Router, auth: Arc<Auth>, hosts: HostPolicy) -> Router {
    let reads = reads.layer(from_fn_with_state(auth, auth::require)).layer(from_fn_with_state(hosts, guard::check));
    dress(writes.merge(reads), HostPolicy::Any)
}

/// A port on which programs write, and nobody reads.
pub fn open_door(writes: Router) -> Router {
    dress(writes, HostPolicy::Any)
}

/// The layers around every route, innermost first.
fn dress(routes: Router, hosts: HostPolicy) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        // Above the routes, below compression: what is compressed is the whole answer or the envelope of the time-out.
        .layer(from_fn(layers::time_limit))
        .layer(CompressionLayer::new())
        // Above everything that reads a request: a foreign page must not even cause work.
        .layer(from_fn_with_state(hosts, guard::check))
        .layer(CatchPanicLayer::custom(error::panicked))
        // Outermost, so that refusals and panics carry the headers too.
        .layer(from_fn(layers::security_headers))
        .layer(from_fn(layers::request_id))
}
