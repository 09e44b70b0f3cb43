//! Peer metadata: round trips, tolerance, and the bounds of the cache.

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::json;

use super::cache::PEERS_MAX;
use super::*;

fn identity() -> PeerIdentity {
    PeerIdentity {
        name: "reviews-v1-0".to_owned(),
        namespace: "bookinfo".to_owned(),
        workload: "reviews-v1".to_owned(),
        cluster_id: "Kubernetes".to_owned(),
        canonical_service: "reviews".to_owned(),
        canonical_revision: "v1".to_owned(),
        app: "reviews".to_owned(),
        version: "v1".to_owned(),
        ..PeerIdentity::default()
    }
}

fn headers(id: &str, encoded: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(PEER_METADATA_ID, HeaderValue::from_str(id).unwrap());
    map.insert(PEER_METADATA, HeaderValue::from_str(encoded).unwrap());
    map
}

#[test]
fn what_is_sent_is_read_back() {
    let cache = PeerCache::default();
    let sent = headers("sidecar~1.2.3.4~a.b~c", &encode(&identity().to_exchange()));
    assert_eq!(cache.read(&sent).unwrap().identity, identity());
}

#[test]
fn the_encoding_is_sorted_by_key() {
    let fields = json!({"NAMESPACE": "n", "NAME": "a", "LABELS": {}});
    let bytes = codec::encode(fields.as_object().unwrap());
    // Struct.fields entries LABELS {}, NAME "a", NAMESPACE "n"; each: key, value { struct_value | string_value }.
    let expected: &[u8] = b"\x0a\x0c\x0a\x06LABELS\x12\x02\x2a\x00\
        \x0a\x0b\x0a\x04NAME\x12\x03\x1a\x01a\
        \x0a\x10\x0a\x09NAMESPACE\x12\x03\x1a\x01n";
    assert_eq!(bytes, base64::engine::general_purpose::STANDARD.encode(expected));
}

#[test]
fn padding_is_optional_and_garbage_is_refused() {
    let padded = codec::encode(json!({"NAME": "ab"}).as_object().unwrap());
    assert!(padded.ends_with('='), "{padded}");
    let bare = padded.trim_end_matches('=');
    assert_eq!(codec::decode(bare.as_bytes()).unwrap(), codec::decode(padded.as_bytes()).unwrap());
    assert!(matches!(codec::decode(b"%%%"), Err(PeerError::Base64(_))));
    assert!(matches!(codec::decode(b"////"), Err(PeerError::Protobuf(_))));
    let long = vec![b'A'; codec::METADATA_BYTES_MAX + 1];
    assert!(matches!(codec::decode(&long), Err(PeerError::TooLong(_))));
}

#[test]
fn a_peer_is_decoded_once_until_it_changes() {
    let cache = PeerCache::default();
    let sent = headers("id", &encode(&identity().to_exchange()));
    let first = cache.read(&sent).unwrap();
    assert_eq!(cache.read(&sent).unwrap().number(), first.number());
    let moved = PeerIdentity { version: "v2".to_owned(), ..identity() };
    let changed = cache.read(&headers("id", &encode(&moved.to_exchange()))).unwrap();
    assert_eq!(changed.identity.version, "v2");
    assert_eq!(cache.len(), 1);
}

#[test]
fn the_cache_is_bounded() {
    let cache = PeerCache::default();
    let encoded = encode(&identity().to_exchange());
    for i in 0..=PEERS_MAX {
        cache.read(&headers(&format!("id-{i}"), &encoded)).unwrap();
    }
    assert_eq!(cache.len(), PEERS_MAX - PEERS_MAX / 4 + 1);
}

#[test]
fn answers_hold_only_what_was_asked_for() {
    let own = OwnHeaders { id: Some(HeaderValue::from_static("id")), metadata: HeaderValue::from_static("AA==") };
    let mut map = HeaderMap::new();
    own.answer(Received::default(), &mut map);
    assert!(map.is_empty());
    own.answer(Received { id: false, metadata: true }, &mut map);
    assert_eq!(Received::of(&map), Received { id: false, metadata: true });
    own.add(&mut map);
    assert_eq!(Received::of(&map), Received { id: true, metadata: true });
    strip(&mut map);
    assert!(map.is_empty());
}

proptest! {
    #[test]
    fn any_identity_survives(name in "\\PC{0,20}", namespace in "\\PC{0,20}", app in "\\PC{0,20}") {
        let sent = PeerIdentity { name, namespace, app, ..identity() };
        let decoded = codec::decode(encode(&sent.to_exchange()).as_bytes()).unwrap();
        prop_assert_eq!(PeerIdentity::from_exchange(&decoded), sent);
    }

    #[test]
    fn no_header_makes_decode_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = codec::decode(&bytes);
        let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        let _ = codec::decode(text.as_bytes());
    }
}
