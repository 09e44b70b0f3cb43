//! Who gets in, and from where.

use sidelight_api::error::ErrorKind;
use sidelight_api::session::{AuthMode, Session};

use super::{Server, TOKEN};

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

#[tokio::test]
async fn without_a_login_everybody_gets_in() {
    let server = Server::open().await;
    assert_eq!(server.get("/api/status").await.status, 200);
    assert_eq!(server.get("/api/author").await.text(), "", "nobody to vouch for");
    let session: Session = server.get("/api/session").await.json();
    assert_eq!(session, Session { auth: AuthMode::None, logged_in: true, user: "anonymous".to_owned() });
    assert_eq!(server.send("POST", "/api/login", &[], "").await.status, 200);
}

#[tokio::test]
async fn with_a_token_strangers_stay_outside() {
    let server = Server::locked().await;
    for path in ["/api/status", "/api/namespaces/graph", "/api/nothing", "/api/timeline", "/api/namespaces"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.error().kind), (401, ErrorKind::Unauthorized), "{path}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"sidelight\"");
    }
    assert_eq!(server.send("POST", "/api/echo", &[], "x").await.status, 401);
    for path in ["/healthz", "/readyz", "/api/session", "/", "/graph"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let session: Session = server.get("/api/session").await.json();
    assert_eq!(session, Session { auth: AuthMode::Token, logged_in: false, user: String::new() });
}

#[tokio::test]
async fn the_token_opens_the_api() {
    let server = Server::locked().await;
    let answer = server.send("GET", "/api/author", &[&bearer(TOKEN)], "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "admin"));
    let lower = format!("authorization: bearer {TOKEN}");
    assert_eq!(server.send("GET", "/api/author", &[&lower], "").await.status, 200);
    for wrong in ["", "a-token", &TOKEN[1..], &format!("{TOKEN}x")] {
        assert_eq!(server.send("GET", "/api/author", &[&bearer(wrong)], "").await.status, 401, "{wrong}");
    }
    let basic = "authorization: Basic YTpi";
    assert_eq!(server.send("GET", "/api/author", &[basic], "").await.status, 401);
}

#[tokio::test]
async fn a_login_gives_a_session_until_the_logout() {
    let server = Server::locked().await;
    let body = format!("{{\"token\": \"{TOKEN}\"}}");
    let answer = server.send("POST", "/api/login", &["content-type: application/json"], &body).await;
    assert_eq!(answer.status, 200);
    let set = answer.header("set-cookie");
    assert!(set.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Strict"), "{set}");
    let pair = set.split(';').next().unwrap();
    assert!(!pair.contains(TOKEN));
    let cookie = format!("cookie: other=1; {pair}");
    assert_eq!(server.send("GET", "/api/author", &[&cookie], "").await.text(), "admin");
    let session: Session = server.send("GET", "/api/session", &[&cookie], "").await.json();
    assert!(session.logged_in);

    let gone = server.send("POST", "/api/logout", &[&cookie], "").await;
    assert_eq!(gone.status, 204);
    assert!(gone.header("set-cookie").contains("Max-Age=0"));
    assert_eq!(server.send("GET", "/api/author", &[&cookie], "").await.status, 401);
}

#[tokio::test]
async fn behind_tls_the_cookie_never_travels_without() {
    let server = Server::locked().await;
    let body = format!("{{\"token\": \"{TOKEN}\"}}");
    let headers = ["content-type: application/json", "x-forwarded-proto: https"];
    assert!(server.send("POST", "/api/login", &headers, &body).await.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn a_broken_login_says_what_is_expected() {
    let server = Server::locked().await;
    let answer = server.send("POST", "/api/login", &["content-type: application/json"], "{\"password\": \"x\"}").await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().message.starts_with("the body must be {\"token\": \"…\"}"), "{}", answer.error().message);
}

#[tokio::test]
async fn guessing_is_stopped() {
    let server = Server::locked().await;
    for _ in 0..10 {
        let answer = server.send("POST", "/api/login", &["content-type: application/json"], "{\"token\": \"guess\"}").await;
        assert_eq!(answer.error().kind, ErrorKind::Unauthorized);
    }
    let answer = server.send("GET", "/api/author", &[&bearer(TOKEN)], "").await;
    assert_eq!((answer.status.as_u16(), answer.error().kind), (429, ErrorKind::TooMany));
}

#[tokio::test]
async fn foreign_names_are_refused_where_nobody_logs_in() {
    let server = Server::open().await;
    for (host, status) in [
        ("127.0.0.1:20001", 200),
        ("[::1]:20001", 200),
        ("localhost:20001", 200),
        ("mesh.localhost", 200),
        ("192.168.1.7", 200),
        ("evil.example", 403),
        ("localhost.evil.example:20001", 403),
        ("127.0.0.1.evil.example", 403),
    ] {
        assert_eq!(server.send("GET", "/api/status", &[&format!("host: {host}")], "").await.status, status, "{host}");
    }
    let locked = Server::locked().await;
    let answer = locked.send("GET", "/api/author", &["host: mesh.example.com", &bearer(TOKEN)], "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn changes_come_from_the_dashboard_itself() {
    let server = Server::open().await;
    for (headers, status) in [
        (&[][..], 200),
        (&["origin: http://127.0.0.1:20001"], 200),
        (&["origin: http://127.0.0.1:20001", "sec-fetch-site: same-origin"], 200),
        (&["origin: https://mesh.example.com", "sec-fetch-site: same-origin"], 200),
        (&["sec-fetch-site: none"], 200),
        (&["origin: http://127.0.0.1:9999"], 403),
        (&["origin: https://evil.example"], 403),
        (&["origin: null"], 403),
        (&["sec-fetch-site: cross-site"], 403),
        (&["sec-fetch-site: same-site"], 403),
        (&["origin: http://127.0.0.1:20001", "sec-fetch-site: cross-site"], 403),
    ] {
        let answer = server.send("POST", "/api/echo", headers, "x").await;
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 403 {
            assert_eq!(answer.error().kind, ErrorKind::Forbidden);
        }
    }
    // Reading is for the browser's same-origin policy to guard.
    assert_eq!(server.send("GET", "/api/status", &["sec-fetch-site: cross-site"], "").await.status, 200);
}
