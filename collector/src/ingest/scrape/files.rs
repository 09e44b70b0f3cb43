//! Configured targets from a file in the format of Prometheus' file-based discovery.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::ScrapeTarget;

/// Bytes of a file of targets.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How often the file is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum FileTargetsError {
    #[error("failed to read the targets in {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is no list of targets", .0.display())]
    Format(PathBuf, #[source] serde_json::Error),
}

/// `[{"targets": ["127.0.0.1:15020"], "labels": {"namespace": "bookinfo"}}]`
#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
}

/// Reads the targets of a file's text; a target without a scheme and a path gets Envoy's.
pub fn parse_targets(text: &str) -> Result<Vec<ScrapeTarget>, serde_json::Error> {
    let groups: Vec<Group> = serde_json::from_str(text)?;
    let mut targets = Vec::new();
    for group in groups {
        let label = |name: &str| group.labels.get(name).map(String::as_str);
        let scheme = label("__scheme__").unwrap_or("http");
        let path = label("__metrics_path__").unwrap_or("/stats/prometheus");
        for address in &group.targets {
            let url = if address.contains("://") { address.clone() } else { format!("{scheme}://{address}{path}") };
            targets.push(ScrapeTarget {
                key: url.as_str().into(),
                url,
                namespace: label("namespace").unwrap_or_default().into(),
                connected: true,
                registered_at_ms: None,
            });
        }
    }
    Ok(targets)
}

fn read(path: &Path) -> Result<Vec<ScrapeTarget>, FileTargetsError> {
    let problem = |error| FileTargetsError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(problem)?.len() > FILE_BYTES_MAX {
        return Err(FileTargetsError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(problem)?;
    parse_targets(&text).map_err(|error| FileTargetsError::Format(path.to_owned(), error))
}

/// Reads the file now, and again whenever it changes; a file that cannot be read leaves the last good targets.
pub async fn watch_file(
    path: PathBuf,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<[ScrapeTarget]>>, FileTargetsError> {
    let first = read_blocking(path.clone()).await?;
    let (sender, receiver) = watch::channel(Arc::from(first));
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            match read_blocking(path.clone()).await {
                Ok(targets) => {
                    let changed = sender.send_if_modified(|known: &mut Arc<[ScrapeTarget]>| {
                        let is_new = **known != *targets;
                        *known = targets.into();
                        is_new
                    });
                    if changed {
                        info!(path = %path.display(), targets = sender.borrow().len(), "targets changed");
                    }
                }
                Err(error) => warn!(error = &error as &dyn std::error::Error, "keeping the targets known so far"),
            }
        }
    });
    Ok(receiver)
}

async fn read_blocking(path: PathBuf) -> Result<Vec<ScrapeTarget>, FileTargetsError> {
    let shown = path.clone();
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    read.unwrap_or_else(|error| Err(FileTargetsError::Read(shown, std::io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_get_envoys_path() {
        let text = r#"[{"targets":["127.0.0.1:15090","http://proxy:1/m"],"labels":{"namespace":"bookinfo"}},
                       {"targets":["h:2"],"labels":{"__metrics_path__":"/metrics"}}]"#;
        let urls: Vec<_> = parse_targets(text).unwrap().into_iter().map(|t| (t.url, t.namespace.to_string())).collect();
        let expected = [
            ("http://127.0.0.1:15090/stats/prometheus", "bookinfo"),
            ("http://proxy:1/m", "bookinfo"),
            ("http://h:2/metrics", ""),
        ];
        assert_eq!(urls, expected.map(|(url, namespace)| (url.to_owned(), namespace.to_owned())));
        assert!(parse_targets("{}").is_err());
    }
}
