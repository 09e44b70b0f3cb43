//! The TLS side of a door: certificates from PEM files, taken over when the files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{Error as RustlsError, RootCertStore, ServerConfig};

/// What a client may speak, best first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Where the certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the door's own certificate first.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// Who signs clients' certificates; with it, a client without one is not let in.
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} is no PEM file with {what}")]
    Pem {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: Option<rustls_pki_types::pem::Error>,
    },
    #[error("the certificate in {path} and its key do not do")]
    Certificate {
        path: PathBuf,
        #[source]
        source: RustlsError,
    },
    #[error("the authority of clients' certificates in {path} does not do")]
    ClientCa {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Terminates TLS with the certificates as they are now.
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<Current>,
}

struct Current {
    contents: Contents,
    config: Arc<ServerConfig>,
}

/// What was in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the key.
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Tls {
    /// # Errors
    /// When a file cannot be read, or does not hold what it should.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let contents = Contents::read(&files)?;
        let config = Arc::new(server_config(&files, &contents)?);
        Ok(Self { files, current: ArcSwap::from_pointee(Current { contents, config }) })
    }

    /// For the next connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }

    /// Takes the files over when they changed; `None` when they did not.
    pub fn reload(&self) -> Option<Result<(), TlsError>> {
        let contents = match Contents::read(&self.files) {
            Ok(contents) => contents,
            Err(error) => return Some(Err(error)),
        };
        if contents == self.current.load().contents {
            return None;
        }
        // A certificate whose key is not there yet fails here, and is looked at again.
        Some(server_config(&self.files, &contents).map(|config| {
            self.current.store(Arc::new(Current { contents, config: Arc::new(config) }));
        }))
    }
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source });
        Ok(Self {
            cert: read(&files.cert)?,
            key: read(&files.key)?,
            client_ca: files.client_ca.as_deref().map(read).transpose()?,
        })
    }
}

fn server_config(files: &TlsFiles, contents: &Contents) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.cert, &contents.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&contents.key).map_err(|source| TlsError::Pem {
        path: files.key.clone(),
        what: "a private key",
        source: Some(source),
    })?;
    let provider = Arc::new(ring::default_provider());
    let bad_certificate = |source| TlsError::Certificate { path: files.cert.clone(), source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(bad_certificate)?;
    let builder = match (&files.client_ca, &contents.client_ca) {
        (Some(path), Some(bytes)) => {
            let roots = Arc::new(roots(path, bytes)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|source: VerifierBuilderError| TlsError::ClientCa { path: path.clone(), source: source.into() })?;
            builder.with_client_cert_verifier(verifier)
        }
        _ => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(bad_certificate)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(config)
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |source| TlsError::Pem { path: path.to_owned(), what: "certificates", source };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|source| bad(Some(source)))?;
    if chain.is_empty() { Err(bad(None)) } else { Ok(chain) }
}

fn roots(path: &Path, pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, pem)? {
        roots.add(certificate).map_err(|source| TlsError::ClientCa { path: path.to_owned(), source: source.into() })?;
    }
    Ok(roots)
}
