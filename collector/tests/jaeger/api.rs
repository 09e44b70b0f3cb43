//! Asks Jaeger's classic API, whoever answers it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use http::HeaderMap;
use serde_json::Value;

use crate::support::running::{get, send};

/// More than any test sends.
const LIMIT: &str = "1000";

pub struct Api {
    address: SocketAddr,
    /// Before the paths that Jaeger has.
    base: &'static str,
}

impl Api {
    pub fn new(address: SocketAddr, base: &'static str) -> Self {
        Self { address, base }
    }

    /// Status and body.
    pub async fn ask(&self, path: &str) -> (u16, Value) {
        let (status, body) = get(self.address, &format!("{}{path}", self.base)).await;
        (status.as_u16(), serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// What it makes of OTLP's JSON.
    pub async fn transform(&self, file: &[u8]) -> Value {
        let path = format!("{}/api/transform", self.base);
        let (status, body) = send(self.address, "POST", &path, HeaderMap::new(), file.to_vec()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    pub async fn data(&self, path: &str) -> Option<Value> {
        let (status, mut answer) = self.ask(path).await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{path}: {answer}");
        Some(answer["data"].take())
    }

    pub async fn trace(&self, id: &str) -> Option<Value> {
        self.data(&format!("/api/traces/{id}")).await.map(|mut traces| traces[0].take())
    }

    pub async fn services(&self) -> Vec<String> {
        strings(&self.data("/api/services").await.unwrap())
    }

    pub async fn operations(&self, service: &str) -> Vec<String> {
        strings(&self.data(&format!("/api/services/{}/operations", encoded(service))).await.unwrap())
    }

    /// Ids of the traces that match.
    pub async fn search(&self, parameters: &[(&str, &str)]) -> BTreeSet<String> {
        let now_us = sidelight_collector::clock::now_ms() * 1000;
        let (from_us, to_us) = (now_us - 3_600_000_000, now_us + 3_600_000_000);
        let given: String = parameters.iter().map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
        let traces = self.data(&format!("/api/traces?limit={LIMIT}&start={from_us}&end={to_us}{given}")).await.unwrap();
        traces.as_array().unwrap().iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect()
    }
}

fn strings(values: &Value) -> Vec<String> {
    let mut strings: Vec<String> = values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect();
    strings.sort();
    strings
}

pub fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
