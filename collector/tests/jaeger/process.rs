//! Runs Jaeger and asks it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use super::api::Api;
use crate::support::running::eventually;

pub struct Jaeger {
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub zipkin: SocketAddr,
    pub query_grpc: SocketAddr,
    api: Api,
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
        let api = Api::new(query, "");
        let jaeger = Self { otlp_grpc, otlp_http, zipkin, query_grpc, api, process, _folder: folder };
        eventually("Jaeger answers", async || {
            [query, query_grpc, otlp_http, zipkin].iter().all(|port| std::net::TcpStream::connect(port).is_ok())
        })
        .await;
        jaeger
    }
}

impl std::ops::Deref for Jaeger {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    // All open at once, so that no port is given out twice.
    let listeners: [TcpListener; N] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
