//! Answers within their limits, over TLS, with credentials and redirects.

use std::io::Write;

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};

use super::*;

const LIMIT: usize = 1024 * 1024;
const TIME: Duration = Duration::from_secs(30);

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn router() -> Router {
    let gzip = [("content-encoding", "gzip")];
    let who = |headers: HeaderMap| async move {
        headers.get(header::AUTHORIZATION).map_or("nobody".to_owned(), |value| value.to_str().unwrap().to_owned())
    };
    Router::new()
        .route("/good", get(|| async { "a 1\n" }))
        .route("/zipped", get(move || async move { (gzip, zipped(b"a 1\n")) }))
        .route("/bomb", get(move || async move { (gzip, zipped(&vec![b' '; LIMIT + 1])) }))
        .route("/large", get(|| async { vec![b' '; LIMIT + 1] }))
        .route("/binary", get(|| async { vec![0xff, 0xfe] }))
        .route("/never", get(std::future::pending::<String>))
        .route("/who", get(who))
        .route("/moved", get(|| async { Redirect::temporary("/who") }))
        .route("/round", get(|| async { Redirect::temporary("/round") }))
}

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router()).await });
    format!("http://{address}")
}

async fn fetch(client: &HttpClient, url: &str) -> Result<String, FetchError> {
    client.text(url, HeaderMap::new(), LIMIT, TIME).await.map(|answer| answer.text)
}

#[tokio::test]
async fn answers_are_taken_within_their_limits() {
    let (base, client) = (serve().await, HttpClient::plain());
    let get = async |path: &str| fetch(&client, &format!("{base}{path}")).await;
    assert_eq!(get("/good").await.unwrap(), "a 1\n");
    assert_eq!(get("/zipped").await.unwrap(), "a 1\n");
    assert!(matches!(get("/large").await, Err(FetchError::TooLarge(LIMIT))));
    assert!(matches!(get("/bomb").await, Err(FetchError::TooLarge(LIMIT))));
    assert!(matches!(get("/binary").await, Err(FetchError::NotText)));
    assert!(matches!(get("/missing").await, Err(FetchError::Status(StatusCode::NOT_FOUND))));
    assert!(matches!(get("/round").await, Err(FetchError::Redirects)));
    assert!(matches!(fetch(&client, "not a url").await, Err(FetchError::Url(_))));
    let never = client.text(&format!("{base}/never"), HeaderMap::new(), LIMIT, Duration::from_millis(50)).await;
    assert!(matches!(never, Err(FetchError::Timeout(_))));
}

#[tokio::test]
async fn credentials_come_from_the_configuration_or_from_a_file() {
    let base = serve().await;
    let client = |authorization| {
        HttpClient::new(HttpSettings { authorization, follow_redirects: true, ..HttpSettings::default() }).unwrap()
    };
    let basic = client(Authorization::Basic { username: "u".to_owned(), password: Secret::Text("p".to_owned()) });
    assert_eq!(fetch(&basic, &format!("{base}/who")).await.unwrap(), "Basic dTpw");
    assert_eq!(fetch(&basic, &format!("{base}/moved")).await.unwrap(), "Basic dTpw");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let bearer = client(Authorization::Scheme { scheme: "Bearer".to_owned(), credentials: Secret::File(path.clone()) });
    assert!(matches!(fetch(&bearer, &format!("{base}/who")).await, Err(FetchError::Credential(_))));
    std::fs::write(&path, "one\n").unwrap();
    assert_eq!(fetch(&bearer, &format!("{base}/who")).await.unwrap(), "Bearer one");
    std::fs::write(&path, "two\n").unwrap();
    assert_eq!(fetch(&bearer, &format!("{base}/who")).await.unwrap(), "Bearer two");
    assert!(!format!("{basic:?}").contains('p'.to_string().repeat(2).as_str()));
    assert!(format!("{basic:?}").contains("<secret>"));
}

/// A certificate authority, a certificate for `localhost` and its key, all PEM.
fn certificates() -> (String, String, String) {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let root = authority.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(authority, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    (root.pem(), leaf.pem(), leaf_key.serialize_pem())
}

async fn serve_tls(config: ServerConfig) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, service) = (acceptor.clone(), hyper_util::service::TowerToHyperService::new(router()));
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    });
    format!("https://{address}/good")
}

#[tokio::test]
async fn certificates_are_checked_as_the_job_says() {
    let (root, leaf, key) = certificates();
    let pem = |text: &str| Some(Pem::Bytes(text.as_bytes().to_vec()));
    let chain: Vec<_> = rustls_chain(&leaf);
    let server_key = rustls_pki_types::pem::PemObject::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(rustls_chain(&root).remove(0)).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).allow_unauthenticated();
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_client_cert_verifier(verifier.build().unwrap()).with_single_cert(chain, server_key).unwrap();
    let url = serve_tls(config).await;
    let client = |tls| HttpClient::new(HttpSettings { tls, ..HttpSettings::default() }).unwrap();
    let named = TlsSettings { ca: pem(&root), server_name: Some("localhost".to_owned()), ..TlsSettings::default() };
    assert_eq!(fetch(&client(named.clone()), &url).await.unwrap(), "a 1\n");
    let mutual = TlsSettings { cert: pem(&leaf), key: pem(&key), ..named.clone() };
    assert_eq!(fetch(&client(mutual), &url).await.unwrap(), "a 1\n");
    let insecure = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    assert_eq!(fetch(&client(insecure), &url).await.unwrap(), "a 1\n");
    // The certificate is not of this address, and nobody that the system trusts has signed it.
    let unnamed = TlsSettings { server_name: None, ..named };
    assert!(matches!(fetch(&client(unnamed), &url).await, Err(FetchError::Connect(_))));
    assert!(matches!(fetch(&HttpClient::plain(), &url).await, Err(FetchError::Connect(_))));
    let half = TlsSettings { cert: pem(&leaf), ..TlsSettings::default() };
    assert!(matches!(HttpClient::new(HttpSettings { tls: half, ..HttpSettings::default() }), Err(TlsError::Half)));
}

fn rustls_chain(pem: &str) -> Vec<rustls_pki_types::CertificateDer<'static>> {
    rustls_pki_types::pem::PemObject::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().unwrap()
}
