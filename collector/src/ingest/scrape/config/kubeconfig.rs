//! Where Kubernetes' API is and how to be let in: in a cluster by the pod's service account, elsewhere by a kubeconfig.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::client::{Authorization, HttpSettings, Pem, Secret, TlsSettings};
use super::super::kubernetes::ApiServer;

/// What a pod finds of its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Bytes of a kubeconfig.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    #[error(
        "this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set), and there is neither `api_server` nor `kubeconfig_file`"
    )]
    NoCluster,
    #[error("failed to read the kubeconfig {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} is no kubeconfig", .0.display())]
    Format(PathBuf, #[source] Box<serde_saphyr::Error>),
    #[error("the kubeconfig {} has no {what}", path.display())]
    Missing { path: PathBuf, what: String },
    #[error("the kubeconfig {} gets its credentials from a program, which is not supported; use a token", .0.display())]
    Program(PathBuf),
    #[error("the kubeconfig {} has a value that is not base64", .0.display())]
    Base64(PathBuf),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: String,
    #[serde(default)]
    contexts: Vec<Named>,
    #[serde(default)]
    clusters: Vec<Named>,
    #[serde(default)]
    users: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    context: Option<Context>,
    cluster: Option<Cluster>,
    user: Option<User>,
}

#[derive(Clone, Deserialize)]
struct Context {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    tls_server_name: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    username: Option<String>,
    password: Option<String>,
    exec: Option<serde::de::IgnoredAny>,
    auth_provider: Option<serde::de::IgnoredAny>,
}

/// The namespace of this pod; `default` where there is none.
pub fn own_namespace() -> String {
    let written = std::fs::read_to_string(Path::new(SERVICE_ACCOUNT).join("namespace")).unwrap_or_default();
    Some(written.trim()).filter(|name| !name.is_empty()).unwrap_or("default").to_owned()
}

/// By the service account of the pod that this process runs in.
pub fn in_cluster() -> Result<ApiServer, KubeconfigError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let host = variable("KUBERNETES_SERVICE_HOST").ok_or(KubeconfigError::NoCluster)?;
    let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let account = Path::new(SERVICE_ACCOUNT);
    let http = HttpSettings {
        tls: TlsSettings { ca: Some(Pem::File(account.join("ca.crt"))), ..TlsSettings::default() },
        authorization: Authorization::Scheme { scheme: "Bearer".to_owned(), credentials: Secret::File(account.join("token")) },
        follow_redirects: true,
    };
    Ok(ApiServer { url: format!("https://{host}:{port}"), http, own_namespace: own_namespace() })
}

/// By the current context of a kubeconfig.
pub fn from_file(path: &Path) -> Result<ApiServer, KubeconfigError> {
    let failed = |error| KubeconfigError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other("the file is too large")));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let config: Kubeconfig =
        serde_saphyr::from_str(&text).map_err(|error| KubeconfigError::Format(path.to_owned(), Box::new(error)))?;
    let missing = |what: &str, name: &str| KubeconfigError::Missing { path: path.to_owned(), what: format!("{what} `{name}`") };
    let named = |all: &'_ [Named], name: &str| all.iter().position(|named| named.name == name);
    let current = &config.current_context;
    let context = named(&config.contexts, current).and_then(|at| config.contexts[at].context.clone());
    let context = context.ok_or_else(|| missing("context", current))?;
    let cluster = named(&config.clusters, &context.cluster).and_then(|at| config.clusters[at].cluster.clone());
    let cluster = cluster.ok_or_else(|| missing("cluster", &context.cluster))?;
    let user = named(&config.users, &context.user).and_then(|at| config.users[at].user.clone()).unwrap_or_default();
    if user.exec.is_some() || user.auth_provider.is_some() {
        return Err(KubeconfigError::Program(path.to_owned()));
    }
    let pem = |file: Option<PathBuf>, data: Option<String>| pem(path, file, data);
    let tls = TlsSettings {
        ca: pem(cluster.certificate_authority, cluster.certificate_authority_data)?,
        cert: pem(user.client_certificate.clone(), user.client_certificate_data.clone())?,
        key: pem(user.client_key.clone(), user.client_key_data.clone())?,
        server_name: cluster.tls_server_name,
        insecure_skip_verify: cluster.insecure_skip_tls_verify,
    };
    let http = HttpSettings { tls, authorization: authorization(path, user), follow_redirects: true };
    let own_namespace = context.namespace.unwrap_or_else(|| "default".to_owned());
    Ok(ApiServer { url: cluster.server.trim_end_matches('/').to_owned(), http, own_namespace })
}

/// Files lie beside the kubeconfig unless their path says otherwise.
fn beside(path: &Path, file: PathBuf) -> PathBuf {
    path.parent().map_or(file.clone(), |folder| folder.join(&file))
}

fn pem(path: &Path, file: Option<PathBuf>, data: Option<String>) -> Result<Option<Pem>, KubeconfigError> {
    match data {
        Some(data) => {
            let bytes = STANDARD.decode(data.trim()).map_err(|_| KubeconfigError::Base64(path.to_owned()))?;
            Ok(Some(Pem::Bytes(bytes)))
        }
        None => Ok(file.map(|file| Pem::File(beside(path, file)))),
    }
}

fn authorization(path: &Path, user: User) -> Authorization {
    let bearer = |credentials| Authorization::Scheme { scheme: "Bearer".to_owned(), credentials };
    match (user.token_file, user.token, user.username) {
        (Some(file), _, _) => bearer(Secret::File(beside(path, file))),
        (None, Some(token), _) => bearer(Secret::Text(token)),
        (None, None, Some(username)) => {
            Authorization::Basic { username, password: Secret::Text(user.password.unwrap_or_default()) }
        }
        (None, None, None) => Authorization::None,
    }
}
