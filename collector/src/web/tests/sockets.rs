//! The server on a real socket: it answers, keeps to its limits, and stops without cutting anybody off.

use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::web::serve;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

async fn start(router: Router) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, router, stop.clone()));
    (address, stop, serving)
}

async fn ask(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn handlers_see_from_where_a_request_comes() {
    let whence = |ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| async move { peer.ip().to_string() };
    let (address, stop, serving) = start(Router::new().route("/", get(whence))).await;
    assert!(ask(address).await.ends_with("\r\n\r\n127.0.0.1"));
    stop.cancel();
    serving.await.unwrap();
}

#[tokio::test]
async fn an_open_request_is_answered_after_the_stop_and_new_ones_are_not() {
    let (asked, mut is_asked) = tokio::sync::mpsc::channel::<()>(1);
    let stop_seen = CancellationToken::new();
    let wait = stop_seen.clone();
    let slow = get(move || async move {
        asked.send(()).await.unwrap();
        wait.cancelled().await;
        "late"
    });
    let (address, stop, serving) = start(Router::new().route("/", slow)).await;
    let open = tokio::spawn(ask(address));
    is_asked.recv().await.unwrap();
    stop.cancel();
    while TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop_seen.cancel();
    assert!(open.await.unwrap().ends_with("late"));
    serving.await.unwrap();
}
