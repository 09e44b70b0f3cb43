//! The sample's services as their callers see them, straight and through a proxy.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use bookinfo::client::{Answer, HttpClient, Route};
use bookinfo::load::{self, LoadConfig};
use bookinfo::reviews::Version;
use bookinfo::{details, httpbin, productpage, ratings, reviews, server};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const SECOND: Duration = Duration::from_secs(1);

struct Running {
    url: String,
    address: String,
    _stop: DropGuard,
}

async fn start(router: Router) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shutdown = CancellationToken::new();
    tokio::spawn(server::serve(listener, router, shutdown.clone()));
    Running { url: format!("http://{address}"), address, _stop: shutdown.drop_guard() }
}

async fn get(url: &str, headers: &[(&'static str, &str)]) -> Answer {
    let headers: HeaderMap = headers.iter().map(|(n, v)| (n.parse::<http::HeaderName>().unwrap(), v.parse().unwrap())).collect();
    HttpClient::new(Route::Direct).get(url.parse().unwrap(), headers, 10 * SECOND).await.unwrap()
}

async fn post(url: &str, body: &str) -> Answer {
    let body = Bytes::from(body.to_owned());
    let client = HttpClient::new(Route::Direct);
    client.send(Method::POST, url.parse().unwrap(), HeaderMap::new(), body, SECOND).await.unwrap()
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn reviews_asking(version: Version, ratings: &str) -> Router {
    let config =
        reviews::Config { ratings_url: ratings.to_owned(), pod_name: "reviews-0".into(), ..reviews::Config::new(version) };
    reviews::router(config)
}

#[tokio::test]
async fn ratings_are_read_posted_and_refused() {
    let ratings = start(ratings::router()).await;
    let url = format!("{}/ratings/0", ratings.url);
    assert_eq!(json_of(&get(&url, &[]).await), json!({"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}));
    assert_eq!(post(&url, "{\"Reviewer1\": 9}").await.status, StatusCode::BAD_REQUEST);
    let posted = json!({"id": 0, "ratings": {"Reviewer1": 1}});
    assert_eq!(json_of(&post(&url, "{\"Reviewer1\": 1}").await), posted);
    assert_eq!(json_of(&get(&url, &[]).await), posted);
    assert_eq!(get(&format!("{}/ratings/x", ratings.url), &[]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&format!("{}/none", ratings.url), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_version_of_reviews_has_its_stars() {
    let ratings = start(ratings::router()).await;
    for (version, expected) in [
        (Version::V1, Value::Null),
        (Version::V2, json!({"stars": 5, "color": "black"})),
        (Version::V3, json!({"stars": 5, "color": "red"})),
    ] {
        let reviews = start(reviews_asking(version, &ratings.url)).await;
        let body = json_of(&get(&format!("{}/reviews/0", reviews.url), &[]).await);
        assert_eq!(body["id"], "0");
        assert_eq!(body["podname"], "reviews-0");
        assert_eq!(body["reviews"][0]["reviewer"], "Reviewer1");
        assert_eq!(body["reviews"][0]["rating"], expected, "{version:?}");
    }
}

#[tokio::test]
async fn reviews_without_ratings_say_so() {
    let reviews = start(reviews_asking(Version::V3, "http://127.0.0.1:1")).await;
    let answer = get(&format!("{}/reviews/0", reviews.url), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({"error": "Ratings service is currently unavailable"});
    assert_eq!(json_of(&answer)["reviews"][1]["rating"], expected);
}

#[tokio::test]
async fn product_page_shows_details_reviews_and_apologies() {
    let details = start(details::router()).await;
    let reviews = start(reviews_asking(Version::V1, "http://127.0.0.1:1")).await;
    let config = productpage::Config {
        details_url: details.url.clone(),
        reviews_url: reviews.url.clone(),
        ..productpage::Config::default()
    };
    let page = start(productpage::router(config.clone())).await;
    let answer = get(&format!("{}/productpage", page.url), &[("cookie", "session=luffy")]).await;
    let html = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(html.contains("William Shakespeare") && html.contains("Reviewer2") && html.contains("luffy"));
    assert_eq!(get(&format!("{}/api/v1/products/0", page.url), &[]).await.status, StatusCode::OK);
    let products = json_of(&get(&format!("{}/api/v1/products", page.url), &[]).await);
    assert_eq!(products[0]["title"], "The Comedy of Errors");

    let alone = productpage::Config { reviews_url: "http://127.0.0.1:1".into(), ..config };
    let page = start(productpage::router(alone)).await;
    let answer = get(&format!("{}/productpage", page.url), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    let html = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(html.contains("Sorry, product reviews are currently unavailable for this book."));
    let answer = get(&format!("{}/api/v1/products/0/reviews", page.url), &[]).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn login_sets_the_user_whom_callees_see() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let echo = Router::new().fallback(move |request: Request| async move {
        log.lock().unwrap().push(request.headers().clone());
        "{}".into_response()
    });
    let callee = start(echo).await;
    let config = productpage::Config {
        details_url: callee.url.clone(),
        reviews_url: callee.url.clone(),
        ratings_url: callee.url.clone(),
        route: Route::Direct,
    };
    let page = start(productpage::router(config)).await;
    let answer = post(&format!("{}/login", page.url), "username=luffy&passwd=any").await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (StatusCode::SEE_OTHER, "/productpage"));
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let url = format!("{}/productpage", page.url);
    get(&url, &[("cookie", &cookie), ("end-user", "zoro"), ("x-b3-traceid", "0af7651916cd43dd")]).await;
    get(&url, &[("end-user", "zoro")]).await;
    let seen = seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 4);
    assert_eq!(
        (&seen[0]["end-user"], &seen[0]["x-b3-traceid"]),
        (&"luffy".parse().unwrap(), &"0af7651916cd43dd".parse().unwrap())
    );
    assert_eq!(seen[1]["end-user"], "luffy");
    assert!(seen[2].get("end-user").is_none());
    assert_eq!(post(&format!("{}/login", page.url), "username=<b>").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn failing_reviews_are_asked_twice_and_failing_details_once() {
    let paths = Arc::new(Mutex::new(Vec::new()));
    let log = paths.clone();
    let broken = start(Router::new().fallback(move |request: Request| async move {
        log.lock().unwrap().push(request.uri().path().to_owned());
        StatusCode::SERVICE_UNAVAILABLE
    }))
    .await;
    let config = productpage::Config {
        details_url: broken.url.clone(),
        reviews_url: broken.url.clone(),
        ..productpage::Config::default()
    };
    let page = start(productpage::router(config)).await;
    get(&format!("{}/productpage", page.url), &[]).await;
    assert_eq!(*paths.lock().unwrap(), ["/details/0", "/reviews/0", "/reviews/0"]);
}

#[tokio::test]
async fn calls_through_a_proxy_carry_the_whole_url() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let proxy = start(Router::new().fallback(move |request: Request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        log.lock().unwrap().push((request.uri().to_string(), host));
        "{\"id\":0,\"ratings\":{\"Reviewer1\":3}}"
    }))
    .await;
    let config = reviews::Config { route: Route::Proxy(proxy.address.clone()), ..reviews::Config::new(Version::V2) };
    let reviews = start(reviews::router(config)).await;
    let body = json_of(&get(&format!("{}/reviews/7", reviews.url), &[]).await);
    assert_eq!(body["reviews"][0]["rating"]["stars"], 3);
    assert_eq!(*asked.lock().unwrap(), [("http://ratings:9080/ratings/7".to_owned(), "ratings:9080".to_owned())]);
}

#[tokio::test]
async fn httpbin_echoes_and_obeys() {
    let bin = start(httpbin::router()).await;
    let body = json_of(&get(&format!("{}/anything/a?x=1&y", bin.url), &[("x-a", "b")]).await);
    assert_eq!(body["args"], json!({"x": "1", "y": ""}));
    assert_eq!((&body["method"], &body["path"], &body["headers"]["x-a"]), (&json!("GET"), &json!("/anything/a"), &json!("b")));
    assert_eq!(json_of(&post(&format!("{}/post", bin.url), "{\"a\":1}").await)["json"], json!({"a": 1}));
    assert_eq!(get(&format!("{}/status/418", bin.url), &[]).await.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(get(&format!("{}/status/99", bin.url), &[]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&format!("{}/bytes/999999", bin.url), &[]).await.body.len(), 102_400);
    assert_eq!(get(&format!("{}/delay/0.01", bin.url), &[]).await.status, StatusCode::OK);
    assert_eq!(get(&format!("{}/headers", bin.url), &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn load_accounts_for_every_request() {
    let bin = start(httpbin::router()).await;
    let url = |path: &str| format!("{}{path}", bin.url).parse().unwrap();
    let config = LoadConfig {
        urls: vec![url("/get"), url("/status/503")],
        rps: Some(1_000.0),
        count: Some(100),
        ..LoadConfig::new(url("/get"))
    };
    let report = load::run(config, CancellationToken::new()).await;
    assert_eq!((report.sent, report.answered, report.skipped), (100, 100, 0));
    assert_eq!(report.by_status, [(200, 50), (503, 50)].into());
    assert!(report.elapsed_s >= 0.099, "paced: {}", report.elapsed_s);

    let nobody = LoadConfig { count: Some(3), ..LoadConfig::new("http://127.0.0.1:1/".parse().unwrap()) };
    let report = load::run(nobody, CancellationToken::new()).await;
    assert_eq!((report.sent, report.answered), (3, 0));
    assert_eq!(report.errors, [("connect".to_owned(), 3)].into());
}

#[tokio::test]
async fn load_stops_when_told_and_waits_for_its_flights() {
    let bin = start(httpbin::router()).await;
    let url = format!("{}/delay/0.2", bin.url).parse().unwrap();
    let config = LoadConfig { rps: Some(50.0), ..LoadConfig::new(url) };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(load::run(config, shutdown.clone()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    shutdown.cancel();
    let report = running.await.unwrap();
    assert!(report.sent >= 1);
    assert_eq!(report.sent, report.answered);
}
