//! Lines of Istio's access log over HTTP: `POST /v1/access-logs`, one line after another, each judged on its own.

mod parse;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::door::{Attempt, Door, DoorSecurity, Encoding, Guard, Refusal, Times, require_token};
use crate::clock::now_ms;
use crate::pipeline::LogRequest;
use crate::query::params::Params;
use crate::store::log::LogRecord;
use crate::store::{AttributeValue, Counts, Delivery, Resource};

pub use self::parse::{Reason, parse};

/// Names the door in `GET /api/ingest`.
pub const DOOR: &str = "access-logs";
const SIGNAL: &str = "logs";
/// Bytes of one line.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a name in the query.
const NAME_BYTES_MAX: usize = 253;
/// Bad lines that an answer names.
const TOLD_MAX: usize = 20;

/// Cheap to clone.
#[derive(Clone)]
pub struct LogLinesDoor {
    door: Door,
    /// Older lines are refused.
    kept: Duration,
}

/// What a body came to.
struct Read {
    request: LogRequest,
    received: u64,
    /// Lines that were refused: their number from 1, and why.
    refused: Vec<(usize, Reason)>,
}

impl LogLinesDoor {
    #[must_use]
    pub fn new(door: Door, kept: Duration) -> Self {
        Self { door, kept }
    }

    /// On a port that has no login but what guards its door.
    pub fn guarded(&self, security: DoorSecurity) -> Router {
        let answer = |_: &Request, refusal: Refusal| say_no(&refusal);
        let guard = Guard { security, door: self.door.clone(), signal: SIGNAL, answer };
        let routes = Router::new().route("/v1/access-logs", post(take)).with_state(self.clone());
        routes.layer(from_fn_with_state(guard, require_token))
    }
}

fn say_no(refusal: &Refusal) -> Response {
    refusal.over_http(format!("{refusal}\n"))
}

async fn take(State(door): State<LogLinesDoor>, RawQuery(query): RawQuery, request: Request) -> Response {
    let attempt = match door.door.attempt(SIGNAL) {
        Ok(attempt) => attempt,
        Err(refusal) => return say_no(&refusal),
    };
    match store(&door, attempt, &Params::parse(&query.unwrap_or_default()), request).await {
        Ok(response) => response,
        Err(refusal) => say_no(&refusal),
    }
}

async fn store(door: &LogLinesDoor, mut attempt: Attempt, params: &Params, request: Request) -> Result<Response, Refusal> {
    let body = match body(&mut attempt, request).await {
        Ok(body) => body,
        Err(refusal) => return Err(attempt.refuse(refusal)),
    };
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    let attempt = attempt.admit(lines)?;
    let (resource, times) = (resource(params), Times::new(now_ms(), door.kept));
    let Read { request, received, refused } = match attempt.elsewhere(move || read(&body, &resource, times)).await {
        Ok(read) => read,
        Err(refusal) => return Err(attempt.refuse_items(refusal, lines)),
    };
    let stored = received - refused.len() as u64;
    attempt.store(door.door.intake().logs(request)).await?;
    let status = if stored == 0 && received > 0 { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let told = refused.iter().take(TOLD_MAX).map(|(line, reason)| json!({"line": line, "reason": reason}));
    let told: Vec<_> = told.collect();
    Ok((status, Json(json!({"received": received, "refused": refused.len(), "bad": told}))).into_response())
}

async fn body(attempt: &mut Attempt, request: Request) -> Result<bytes::Bytes, Refusal> {
    let encoding = Encoding::of(request.headers())?;
    Ok(attempt.read(encoding, request.into_body()).await?.bytes)
}

/// Who wrote the lines: `service`, `namespace` and `workload` of the query.
fn resource(params: &Params) -> Arc<Resource> {
    let named = |name: &str| params.filled(name).map(|text| text.chars().take(NAME_BYTES_MAX).collect::<String>());
    let (service, namespace, workload) = (named("service"), named("namespace"), named("workload"));
    let attributes = [("k8s.namespace.name", &namespace), ("workload.name", &workload)];
    let attributes = attributes.into_iter().filter_map(|(name, text)| Some((name.into(), AttributeValue::text(text.as_ref()?))));
    let attributes = attributes.collect();
    let service = service.or(workload).unwrap_or_else(|| "unknown".to_owned());
    Arc::new(Resource { service: service.into(), attributes, ..Resource::default() })
}

fn read(body: &[u8], resource: &Arc<Resource>, times: Times) -> Read {
    let (mut records, mut counts, mut received, mut refused) = (Vec::new(), Counts::default(), 0, Vec::new());
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        received += 1;
        match judge(line, resource, times) {
            Ok(record) => records.push(record),
            Err(reason) => refused.push((index + 1, reason)),
        }
    }
    counts.add(DOOR, SIGNAL, "received", received);
    counts.add(DOOR, SIGNAL, "bytes", body.len() as u64);
    let mut reasons: BTreeMap<Reason, u64> = BTreeMap::new();
    refused.iter().for_each(|(_, reason)| *reasons.entry(reason).or_default() += 1);
    reasons.into_iter().for_each(|(reason, count)| counts.refuse(DOOR, SIGNAL, reason, count));
    // Who sends lines again sends the same body under the same names.
    let mut named = format!("{} {:?} ", resource.service, resource.attributes).into_bytes();
    named.extend(body);
    Read { request: LogRequest { door: DOOR, records, counts, delivery: Delivery::new(DOOR, &named) }, received, refused }
}

/// For fuzzers: all that a body goes through before it is handed over.
pub(crate) fn fuzz(body: &[u8], times: Times) {
    let resource = resource(&Params::parse("service=reviews&namespace=bookinfo"));
    let Read { request, received, refused } = read(body, &resource, times);
    assert_eq!(received, (request.records.len() + refused.len()) as u64, "a line was lost, or counted twice");
}

fn judge(line: &[u8], resource: &Arc<Resource>, times: Times) -> Result<LogRecord, Reason> {
    if line.len() > LINE_BYTES_MAX {
        return Err("line_too_long");
    }
    let record = parse(&String::from_utf8_lossy(line), resource)?;
    times.check(record.time_ns)?;
    Ok(record)
}
