//! CONNECT and WebSocket: what begins as HTTP and goes on as bytes.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::ads::Ads;
use crate::support::app;
use crate::support::mesh::Proxy;
use crate::support::resources::{self as res, *};

/// Says the answer to whatever comes first, then echoes.
async fn tcp_echo(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                if !answer.is_empty() {
                    read_head(&mut stream).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn proxy(cluster: res::Cluster, vhost: VirtualHost) -> (Ads, Proxy) {
    let ads = Ads::start().await;
    let table = res::routes("http_proxy", vec![vhost]);
    let proxy = Proxy::outbound(&ads, vec![cluster], vec![], table).await;
    (ads, proxy)
}

#[tokio::test]
async fn connect_opens_a_tunnel_and_is_logged_at_its_end() {
    let echo = tcp_echo("").await;
    let (_ads, proxy) = proxy(passthrough(), allow_any()).await;
    let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
    let ask = format!("CONNECT {echo} HTTP/1.1\r\nhost: {echo}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    drop(stream);
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 200 - via_upstream - \"-\" 4 4 "), "{line}");
    assert!(line.contains(&format!("\"{echo}\" PassthroughCluster ")), "{line}");
}

#[tokio::test]
async fn connect_to_nowhere_is_refused() {
    let nowhere = app::nowhere();
    let (_ads, proxy) = proxy(passthrough(), allow_any()).await;
    let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
    let ask = format!("CONNECT {nowhere} HTTP/1.1\r\nhost: {nowhere}\r\n\r\n");
    stream.write_all(ask.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 503 UF upstream_reset_before_response_started{"), "{line}");
}

/// The proxy's own admin and status ports, by every name that they have.
#[tokio::test]
async fn a_client_gets_not_to_the_proxys_own_ports() {
    let (_ads, proxy) = proxy(passthrough(), allow_any()).await;
    let addresses = proxy.sidecar.addresses();
    let status = addresses.status.port();
    let forbidden = [addresses.admin.unwrap().to_string(), addresses.status.to_string(), format!("0.0.0.0:{status}")];
    for to in &forbidden {
        let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
        let ask = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{to}: {head}");
        let answer = proxy.client().await.get(&format!("http://{to}/stats")).await;
        assert_eq!(answer.status, 403, "{to}");
    }
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 403 - destination_refused "), "{line}");
}

const UPGRADE: &str = "GET http://ws/chat HTTP/1.1\r\nhost: ws\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-key: x\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn a_websocket_passes_and_is_logged_at_its_end() {
    let server = tcp_echo(SWITCH).await;
    let vhost = host("ws", &["ws"], vec![to("ws")]);
    let (_ads, proxy) = proxy(fixed("ws", server), vhost).await;
    let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(head.contains("upgrade: websocket\r\n"), "{head}");
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    assert!(proxy.log.lines().is_empty(), "logged before its end");
    drop(stream);
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 101 - via_upstream - \"-\" 5 5 "), "{line}");
}

#[tokio::test]
async fn an_upgrade_that_is_not_allowed_is_refused() {
    let server = tcp_echo(SWITCH).await;
    let vhost = host("ws", &["ws"], vec![to("ws")]);
    let (_ads, proxy) = proxy(fixed("ws", server), vhost).await;
    let mut stream = TcpStream::connect(proxy.listener("outbound")).await.unwrap();
    stream.write_all(UPGRADE.replace("websocket", "other").as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let line = proxy.log_line(0).await;
    assert!(line.contains(" 403 - upgrade_failed - \"-\" 0 0 "), "{line}");
}

#[tokio::test]
async fn a_tcp_listener_copies_bytes_and_can_become_http() {
    let echo = tcp_echo("").await;
    let ads = Ads::start().await;
    let node = crate::support::mesh::node_id("sidecar", "mysql-v1");
    let any = "127.0.0.1:0".parse().unwrap();
    let config = |listener| crate::support::mesh::Config {
        clusters: vec![fixed("inbound|3306||", echo)],
        listeners: vec![listener],
        ..Default::default()
    };
    config(tcp_listener("inbound", any, "inbound|3306||")).push(&ads, &node, "1");
    let proxy = Proxy::start(&ads, node.clone()).await;
    proxy.sidecar.ready().await;
    let mut stream = TcpStream::connect(proxy.listener("inbound")).await.unwrap();
    stream.write_all(b"select 1").await.unwrap();
    let mut back = [0; 8];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"select 1");

    let before = proxy.listener("inbound");
    let direct = res::routes("r", vec![host("r", &["*"], vec![direct("d", 200, "http now")])]);
    config(listener("inbound", any, INBOUND, &with_routes(manager(), direct))).push(&ads, &node, "2");
    ads.wait_for(&node, crate::support::ads::LDS, "2", false).await;
    assert_eq!(proxy.listener("inbound"), before);
    assert_eq!(crate::support::client::get(before, "/").await.text(), "http now");
}
