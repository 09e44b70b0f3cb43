//! The admin interface: what operators and `istioctl`-like tools ask a proxy about itself.

mod clusters;
mod dump;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::readiness;
use crate::shared::Shared;
use crate::stats::{Filter, collect, prometheus, stats_text};
use query::Query;

const HELP: &str = "admin commands are:
  /clusters: upstream cluster status
  /config_dump: dump current configuration (args: mask, include_eds)
  /help: print out list of admin commands
  /listeners: print listener info
  /logging: list active loggers
  /quitquitquit (POST): exit the server
  /ready: print server state, return 200 if LIVE, otherwise return 503
  /server_info: print server version/status information
  /stats: print server stats (args: usedonly, filter, format)
  /stats/prometheus: print server stats in prometheus format
";

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { text(HELP.to_owned()) }))
        .route("/help", get(|| async { text(HELP.to_owned()) }))
        .route("/ready", get(ready))
        .route("/server_info", get(server_info))
        .route("/config_dump", get(config_dump))
        .route("/clusters", get(cluster_list))
        .route("/listeners", get(listeners))
        .route("/stats", get(stats))
        .route("/stats/prometheus", get(metrics))
        .route("/logging", get(logging))
        // State-changing: axum answers 405 to a GET.
        .route("/quitquitquit", post(quit))
        .with_state(shared)
}

fn text(body: String) -> Response {
    with_type("text/plain; charset=UTF-8", body)
}

fn json_text(value: &serde_json::Value) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(body) => with_type("application/json", body),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn with_type(kind: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0")),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        (header::SERVER, HeaderValue::from_static("envoy")),
    ];
    (headers, body).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let state = shared.readiness.state();
    let mut response = text(format!("{}\n", state.as_str()));
    if state != readiness::State::Live {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}

async fn server_info(State(shared): State<Arc<Shared>>) -> Response {
    let uptime = format!("{}s", shared.server.uptime_seconds());
    let node = &shared.bootstrap.node;
    json_text(&json!({
        "version": concat!("sidelight/", env!("CARGO_PKG_VERSION"), "/Clean/RELEASE/rustls"),
        "state": shared.readiness.state().as_str(),
        "uptime_current_epoch": uptime,
        "uptime_all_epochs": uptime,
        "hot_restart_version": "disabled",
        "command_line_options": {"concurrency": shared.server.concurrency},
        "node": {
            "id": node.id,
            "cluster": node.cluster,
            "metadata": node.metadata,
            "locality": {
                "region": node.locality.region,
                "zone": node.locality.zone,
                "sub_zone": node.locality.sub_zone,
            },
            "user_agent_name": "envoy",
        },
    }))
}

async fn config_dump(State(shared): State<Arc<Shared>>, RawQuery(raw): RawQuery) -> Response {
    json_text(&dump::config_dump(&shared, &Query::parse(raw.as_deref())))
}

async fn cluster_list(State(shared): State<Arc<Shared>>, RawQuery(raw): RawQuery) -> Response {
    match Query::parse(raw.as_deref()).get("format") {
        Some("json") => json_text(&clusters::as_json(&shared)),
        _ => text(clusters::as_text(&shared)),
    }
}

async fn listeners(State(shared): State<Arc<Shared>>, RawQuery(raw): RawQuery) -> Response {
    let views = shared.listeners.load();
    if Query::parse(raw.as_deref()).get("format") == Some("json") {
        let statuses: Vec<_> = views
            .iter()
            .map(|view| {
                json!({"name": view.config.name, "local_address": {"socket_address": {
                    "address": view.address.ip().to_string(), "port_value": view.address.port()}}})
            })
            .collect();
        return json_text(&json!({ "listener_statuses": statuses }));
    }
    let lines = views.iter().map(|view| format!("{}::{}\n", view.config.name, view.address));
    text(lines.collect())
}

async fn stats(State(shared): State<Arc<Shared>>, RawQuery(raw): RawQuery) -> Response {
    let query = Query::parse(raw.as_deref());
    if query.get("format") == Some("prometheus") {
        return metrics_page(&shared, raw.as_deref().unwrap_or_default());
    }
    let filter = match Filter::new(query.has("usedonly"), query.get("filter")) {
        Ok(filter) => filter,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let stats = collect(&shared);
    if query.get("format") == Some("json") {
        let list: Vec<_> = stats_text(&stats, &filter)
            .lines()
            .filter_map(|line| line.rsplit_once(": "))
            .filter_map(|(name, value)| Some(json!({"name": name, "value": value.parse::<u64>().ok()?})))
            .collect();
        return json_text(&json!({ "stats": list }));
    }
    text(stats_text(&stats, &filter))
}

async fn metrics(State(shared): State<Arc<Shared>>, RawQuery(raw): RawQuery) -> Response {
    metrics_page(&shared, raw.as_deref().unwrap_or_default())
}

/// Istio's metrics and the proxy's own, one page.
pub fn metrics_page(shared: &Shared, raw: &str) -> Response {
    let query = Query::parse(Some(raw));
    let filter = match Filter::new(query.has("usedonly"), query.get("filter")) {
        Ok(filter) => filter,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let mut page = prometheus(&collect(shared), &filter);
    page.push_str(&shared.telemetry.render_metrics(raw));
    with_type(sidelight_telemetry::exposition::CONTENT_TYPE, page)
}

async fn logging() -> Response {
    let level = tracing::level_filters::LevelFilter::current();
    text(format!("active loggers:\n  sidecar: {level}\n"))
}

async fn quit(State(shared): State<Arc<Shared>>) -> Response {
    shared.quit.cancel();
    text("OK\n".to_owned())
}
