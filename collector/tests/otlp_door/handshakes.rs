//! Handshakes over memory, with certificates made on the spot.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::ServerName;
use sidelight_collector::ingest::door::{Tls, TlsError, TlsFiles};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;

use crate::support::authority::{Authority, Issued};

struct Folder(tempfile::TempDir);

impl Folder {
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Whether both sides understood each other, and a byte came back; with the protocol that they agreed on.
async fn talk(tls: &Tls, client: ClientConfig) -> Option<Vec<u8>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let acceptor = tls.acceptor();
    let server = tokio::spawn(async move {
        let mut stream = acceptor.accept(far).await.ok()?;
        stream.write_all(b"!").await.ok()?;
        stream.shutdown().await.ok()
    });
    let connector = TlsConnector::from(Arc::new(client));
    let name = ServerName::try_from("doors.test").unwrap();
    let answered = async {
        let mut stream = connector.connect(name, near).await.ok()?;
        let mut byte = [0];
        stream.read_exact(&mut byte).await.ok()?;
        stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
    };
    let answered = answered.await;
    server.await.unwrap();
    answered
}

#[tokio::test]
async fn a_changed_certificate_is_taken_over_and_a_bad_one_is_not() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (first, second) = (Authority::new(), Authority::new());
    let Issued { cert_pem: cert, key_pem: key, .. } = first.issue("doors.test");
    let files = TlsFiles { cert: folder.write("cert.pem", &cert), key: folder.write("key.pem", &key), client_ca: None };
    let tls = Tls::load(files).unwrap();
    assert_eq!(talk(&tls, first.client(None, b"h2")).await.unwrap(), b"h2");
    assert_eq!(talk(&tls, second.client(None, b"h2")).await, None, "signed by somebody else");
    assert!(tls.reload().is_none(), "nothing changed");

    let Issued { cert_pem: cert, key_pem: key, .. } = second.issue("doors.test");
    folder.write("cert.pem", &cert);
    assert!(matches!(tls.reload(), Some(Err(TlsError::Certificate { .. }))), "the key is not there yet");
    assert!(talk(&tls, first.client(None, b"h2")).await.is_some());
    folder.write("key.pem", &key);
    assert!(matches!(tls.reload(), Some(Ok(()))));
    assert!(talk(&tls, second.client(None, b"h2")).await.is_some());
    assert!(talk(&tls, first.client(None, b"h2")).await.is_none());
}

#[tokio::test]
async fn with_an_authority_for_clients_only_its_clients_come_in() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let (ours, foreign) = (Authority::new(), Authority::new());
    let Issued { cert_pem: cert, key_pem: key, .. } = ours.issue("doors.test");
    let files = TlsFiles {
        cert: folder.write("cert.pem", &cert),
        key: folder.write("key.pem", &key),
        client_ca: Some(folder.write("ca.pem", &ours.pem())),
    };
    let tls = Tls::load(files).unwrap();
    assert!(talk(&tls, ours.client(Some(&ours), b"h2")).await.is_some());
    assert!(talk(&tls, ours.client(Some(&foreign), b"h2")).await.is_none());
    assert!(talk(&tls, ours.client(None, b"h2")).await.is_none());
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let Issued { cert_pem: cert, key_pem: key, .. } = Authority::new().issue("doors.test");
    let (cert, key, empty) = (folder.write("c", &cert), folder.write("k", &key), folder.write("e", ""));
    let load = |cert: &Path, key: &Path, client_ca: Option<&Path>| {
        let files = TlsFiles { cert: cert.to_owned(), key: key.to_owned(), client_ca: client_ca.map(Path::to_owned) };
        Tls::load(files).unwrap_err().to_string()
    };
    let missing = folder.0.path().join("missing");
    assert_eq!(load(&missing, &key, None), format!("failed to read {}", missing.display()));
    assert_eq!(load(&empty, &key, None), format!("{} is no PEM file with certificates", empty.display()));
    assert_eq!(load(&cert, &cert, None), format!("{} is no PEM file with a private key", cert.display()));
    assert_eq!(load(&cert, &key, Some(&empty)), format!("{} is no PEM file with certificates", empty.display()));
}
