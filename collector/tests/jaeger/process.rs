//! Runs Jaeger and asks it.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::running::{eventually, get};

/// More than any test sends.
const LIMIT: &str = "5000";

pub struct Jaeger {
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub zipkin: SocketAddr,
    query: SocketAddr,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Jaeger {
    /// All in one, with everything in memory.
    pub async fn start() -> Self {
        let program = std::env::var_os("SIDELIGHT_JAEGER").expect("SIDELIGHT_JAEGER names Jaeger's all-in-one program");
        let [otlp_grpc, otlp_http, zipkin, query, query_grpc, grpc, http, admin] = free_addresses();
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("jaeger.log")).unwrap();
        let process = Command::new(program)
            .args([
                format!("--collector.otlp.grpc.host-port={otlp_grpc}"),
                format!("--collector.otlp.http.host-port={otlp_http}"),
                format!("--collector.zipkin.host-port={zipkin}"),
                format!("--collector.grpc-server.host-port={grpc}"),
                format!("--collector.http-server.host-port={http}"),
                format!("--query.http-server.host-port={query}"),
                format!("--query.grpc-server.host-port={query_grpc}"),
                format!("--admin.http.host-port={admin}"),
                "--query.enable-tracing=false".to_owned(),
            ])
            .env("SPAN_STORAGE_TYPE", "memory")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let jaeger = Self { otlp_grpc, otlp_http, zipkin, query, process, _folder: folder };
        eventually("Jaeger answers", async || {
            [query, otlp_http, zipkin].iter().all(|port| std::net::TcpStream::connect(port).is_ok())
        })
        .await;
        jaeger
    }

    async fn data(&self, path: &str) -> Option<Value> {
        let (status, body) = get(self.query, path).await;
        if status == 404 {
            return None;
        }
        assert_eq!(status, 200, "{path}: {body}");
        let mut answer: Value = serde_json::from_str(&body).unwrap();
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

fn encoded(text: &str) -> String {
    text.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    // All open at once, so that no port is given out twice.
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
