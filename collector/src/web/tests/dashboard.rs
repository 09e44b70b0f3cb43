//! The dashboard's files as browsers ask for them; what is embedded depends on whether it was built.

use super::Server;

#[tokio::test]
async fn pages_are_the_dashboard() {
    let server = Server::open().await;
    let index = server.get("/").await;
    assert_eq!((index.status.as_u16(), index.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(index.text().starts_with("<!doctype html>") || index.text().starts_with("<!DOCTYPE html>"));
    for path in ["/graph", "/config/VirtualService/bookinfo/reviews", "/index.html"] {
        let page = server.get(path).await;
        assert_eq!((page.status.as_u16(), &page.body), (200, &index.body), "{path}");
        assert_eq!(page.header("cache-control"), "no-cache");
    }
    assert_eq!(server.send("HEAD", "/graph", &[], "").await.status, 200);
}

#[tokio::test]
async fn files_that_are_not_there_are_not_pages() {
    let server = Server::open().await;
    for path in ["/assets/none-0123456789ab.js", "/favicon.none", "/../Cargo.toml", "/index.html.br", "/index.html.gz"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_unchanged_page_is_not_sent_again() {
    let server = Server::open().await;
    let tag = server.get("/").await.header("etag").to_owned();
    assert_eq!(tag.len(), 36);
    let again = server.send("GET", "/", &[&format!("if-none-match: {tag}")], "").await;
    assert_eq!((again.status.as_u16(), again.body.len(), again.header("etag")), (304, 0, tag.as_str()));
    assert_eq!(server.send("GET", "/", &["if-none-match: \"other\""], "").await.status, 200);
}

#[tokio::test]
async fn files_come_compressed_when_the_browser_can_read_them() {
    let server = Server::open().await;
    let plain = server.get("/").await;
    assert_eq!(plain.header("content-encoding"), "");
    assert!(plain.header("vary").contains("accept-encoding"));
    for encoding in ["br", "gzip"] {
        let packed = server.send("GET", "/", &[&format!("accept-encoding: {encoding}")], "").await;
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(packed.body.len() < plain.body.len());
    }
}
