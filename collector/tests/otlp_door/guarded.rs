//! Doors that ask for a token.

use http::{HeaderMap, StatusCode};
use prost::Message;
use sidelight_collector::ingest::door::SecuritySettings;
use sidelight_collector::web::auth::Token;
use sidelight_collector::{Collector, Settings};
use tonic::Code;

use crate::spans::{export, span};
use crate::support::place::Place;
use crate::support::running::{accounted, send, settings};
use crate::{client, headers};

const TOKEN: &str = "a-token-of-this-test";

fn guarded(place: &Place) -> Settings {
    let mut settings = settings(place);
    settings.doors.security = SecuritySettings { tokens: vec![Token::new(TOKEN)], ..SecuritySettings::default() };
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_door_with_a_token_takes_nothing_without_it() {
    let place = Place::sqlite();
    let collector = Collector::start(guarded(&place)).await.unwrap();
    let mut grpc = client(&collector).await;
    let refused = grpc.export(export("cart", vec![span(1, 1)])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut request = tonic::Request::new(export("cart", vec![span(1, 1)]));
    request.metadata_mut().insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    grpc.export(request).await.unwrap();
    let unauthenticated = vec![("unauthenticated".to_owned(), 1)];
    assert_eq!(accounted(&collector, "otlp-grpc", "spans").await, (2, 1, unauthenticated.clone()));

    let address = collector.addresses().otlp_http.unwrap();
    let body = export("cart", vec![span(2, 1)]).encode_to_vec();
    let wrong = HeaderMap::from_iter([(http::header::AUTHORIZATION, "Bearer another-token-altogether".parse().unwrap())]);
    let mut with_media = headers("application/x-protobuf", "identity");
    with_media.extend(wrong);
    let (status, answer) = send(address, "POST", "/v1/traces", with_media.clone(), body.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!answer.contains("another-token"), "{answer}");
    with_media.insert(http::header::AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap());
    assert_eq!(send(address, "POST", "/v1/traces", with_media, body).await.0, StatusCode::OK);
    assert_eq!(accounted(&collector, "otlp-http", "spans").await, (2, 1, unauthenticated));

    // Proxies that the collector configures have no token for Zipkin's door.
    let zipkin = collector.addresses().zipkin;
    assert_eq!(send(zipkin, "POST", "/api/v2/spans", HeaderMap::new(), b"[]".to_vec()).await.0, StatusCode::ACCEPTED);
    collector.shutdown().await;
}
