//! Connects to http and https targets; checks certificates as the job says.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tower::Service;

/// Where systems keep the roots that they trust.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// PEM, in a file or in the configuration itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// `tls_config`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Who signs targets' certificates; the system's roots without it.
    pub ca: Option<Pem>,
    /// Shown to targets.
    pub cert: Option<Pem>,
    pub key: Option<Pem>,
    /// Expected in the certificate instead of the host of the URL.
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to read the certificates or the key in {place}")]
    Read {
        place: String,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    #[error("there is no certificate in {0}")]
    Empty(String),
    #[error("a certificate for targets needs both `cert_file` and `key_file`")]
    Half,
    #[error("`{0}` is no name of a server")]
    ServerName(String),
    #[error("the certificate and the key are refused")]
    Refused(#[source] Error),
}

impl Pem {
    fn place(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes(_) => "the configuration".to_owned(),
        }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let failed = |source| TlsError::Read { place: self.place(), source };
        let found: Result<Vec<_>, _> = match self {
            Self::File(path) => CertificateDer::pem_file_iter(path).map_err(failed)?.collect(),
            Self::Bytes(bytes) => CertificateDer::pem_slice_iter(bytes).collect(),
        };
        let found = found.map_err(failed)?;
        if found.is_empty() { Err(TlsError::Empty(self.place())) } else { Ok(found) }
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let key = match self {
            Self::File(path) => PrivateKeyDer::from_pem_file(path),
            Self::Bytes(bytes) => PrivateKeyDer::from_pem_slice(bytes),
        };
        key.map_err(|source| TlsError::Read { place: self.place(), source })
    }
}

/// Opens connections for the client.
#[derive(Clone)]
pub struct Connector {
    tcp: HttpConnector,
    /// `None` stands for the system's roots, read when they are first needed.
    tls: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    pub fn plain(timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        Self { tcp, tls: None, server_name: None }
    }

    pub fn new(settings: &TlsSettings, timeout: Duration) -> Result<Self, TlsError> {
        let server_name = match &settings.server_name {
            None => None,
            Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| TlsError::ServerName(name.clone()))?),
        };
        let is_default = TlsSettings { server_name: None, ..settings.clone() } == TlsSettings::default();
        let tls = if is_default { None } else { Some(Arc::new(client_config(settings)?)) };
        Ok(Self { tls, server_name, ..Self::plain(timeout) })
    }
}

fn client_config(settings: &TlsSettings) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Refused)?;
    let builder = if settings.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        let mut roots = RootCertStore::empty();
        match &settings.ca {
            Some(ca) => {
                for certificate in ca.certificates()? {
                    roots.add(certificate).map_err(TlsError::Refused)?;
                }
            }
            None => roots = system_roots(),
        }
        builder.with_root_certificates(roots)
    };
    match (&settings.cert, &settings.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => builder.with_client_auth_cert(cert.certificates()?, key.key()?).map_err(TlsError::Refused),
        _ => Err(TlsError::Half),
    }
}

/// Of certificates that cannot be read the others still count.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let bundle = SYSTEM_ROOTS.into_iter().map(Path::new).find(|path| path.is_file());
    for certificate in bundle.into_iter().filter_map(|path| CertificateDer::pem_file_iter(path).ok()).flatten().flatten() {
        let _ = roots.add(certificate);
    }
    roots
}

fn default_config() -> Result<Arc<ClientConfig>, TlsError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let config = Arc::new(client_config(&TlsSettings::default())?);
    Ok(CONFIG.get_or_init(|| config).clone())
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (tls, name) = (self.tls.clone(), self.server_name.clone());
        let connecting = self.tcp.call(uri.clone());
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            if uri.scheme_str() != Some("https") {
                return Ok(TokioIo::new(Stream::Plain(tcp)));
            }
            let config = match tls {
                Some(config) => config,
                None => default_config()?,
            };
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let name = match name {
                Some(name) => name,
                None => ServerName::try_from(host.to_owned())?,
            };
            let stream = TlsConnector::from(config).connect(name, tcp).await?;
            Ok(TokioIo::new(Stream::Tls(Box::new(stream))))
        })
    }
}

/// A connection with or without TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// `insecure_skip_verify`: whoever answers is believed; signatures are still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
