//! A proxy that counts requests and tells so when it is scraped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    pub workload: String,
    requests: Arc<AtomicU64>,
    started: Instant,
}

impl Proxy {
    pub async fn start(workload: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            workload: workload.to_owned(),
            requests: Arc::default(),
            started: Instant::now(),
        };
        let served = proxy.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().answer(stream));
            }
        });
        proxy
    }

    pub fn count(&self, requests: u64) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
    }

    pub fn counted(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let body = self.exposition();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        // The collector may be killed meanwhile.
        let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
    }

    /// As Envoy tells it: its age alone, in whole seconds.
    fn exposition(&self) -> String {
        let (age_s, count) = (self.started.elapsed().as_secs(), self.counted());
        let labels = format!(
            "reporter=\"destination\",source_workload=\"client\",source_workload_namespace=\"test\",\
             destination_workload=\"{}\",destination_workload_namespace=\"test\",response_code=\"200\"",
            self.workload
        );
        format!(
            "# TYPE envoy_server_uptime gauge\nenvoy_server_uptime{{}} {age_s}\n# TYPE istio_requests_total counter\n\
             istio_requests_total{{{labels}}} {count}\n"
        )
    }
}
