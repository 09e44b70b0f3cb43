//! Targets in files, in the format of Prometheus' file-based discovery: JSON or YAML, patterns of names, read again when
//! they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::discovery::{Discovery, TargetGroup, read_groups, read_yaml_groups};
use super::labels::LabelSet;
use super::target::TargetDefaults;
use crate::percent;

/// Bytes of a file of targets.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// How often files are looked at: Prometheus learns of changes from the system, which not every file system tells.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Files that one pattern may stand for.
const FILES_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum FileTargetsError {
    #[error("failed to read the targets in {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    #[error("{} is no list of targets", .0.display())]
    Json(PathBuf, #[source] serde_json::Error),
    #[error("{} is no list of targets", .0.display())]
    Yaml(PathBuf, #[source] Box<serde_saphyr::Error>),
}

/// Groups of a file; each says where it is from.
pub fn read_file(path: &Path) -> Result<Vec<TargetGroup>, FileTargetsError> {
    let failed = |error| FileTargetsError::Read(path.to_owned(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(FileTargetsError::TooLarge(path.to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
    let mut groups = if is_yaml {
        read_yaml_groups(&text).map_err(|error| FileTargetsError::Yaml(path.to_owned(), Box::new(error)))?
    } else {
        read_groups(&text).map_err(|error| FileTargetsError::Json(path.to_owned(), error))?
    };
    for group in &mut groups {
        group.labels.set("__meta_filepath", path.display().to_string());
    }
    Ok(groups)
}

/// Reads the file of `--scrape-file` now, and again whenever it changes; one that cannot be read leaves the last good
/// targets.
pub async fn watch_file(
    path: PathBuf,
    defaults: TargetDefaults,
    stop: CancellationToken,
) -> Result<watch::Receiver<Arc<Discovery>>, FileTargetsError> {
    let read = move || Ok(Discovery::of(&defaults, &whole_urls(read_file(&path)?)));
    let first = blocking(read.clone()).await?;
    let (sender, receiver) = watch::channel(Arc::new(first));
    tokio::spawn(async move {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_INTERVAL)).await.is_some() {
            match blocking(read.clone()).await {
                Ok(found) => publish(&sender, found),
                Err(error) => warn!(error = &error as &dyn std::error::Error, "keeping the targets known so far"),
            }
        }
    });
    Ok(receiver)
}

/// Reads the files of `file_sd_configs` again and again. A file that is not there has no targets, one that cannot be
/// read keeps those it had.
pub fn watch_patterns(
    patterns: Vec<String>,
    refresh: Duration,
    stop: CancellationToken,
) -> watch::Receiver<Arc<Vec<TargetGroup>>> {
    let (sender, receiver) = watch::channel(Arc::default());
    tokio::spawn(async move {
        let mut known = std::collections::BTreeMap::new();
        loop {
            let patterns = patterns.clone();
            let read = tokio::task::spawn_blocking(move || read_patterns(&patterns, known)).await;
            known = read.unwrap_or_default();
            let groups: Vec<TargetGroup> = known.values().flatten().cloned().collect();
            sender.send_if_modified(|last: &mut Arc<Vec<TargetGroup>>| {
                let is_new = **last != groups;
                *last = Arc::new(groups);
                is_new
            });
            if stop.run_until_cancelled(tokio::time::sleep(refresh.min(LOOK_INTERVAL))).await.is_none() {
                return;
            }
        }
    });
    receiver
}

type KnownFiles = std::collections::BTreeMap<PathBuf, Vec<TargetGroup>>;

fn read_patterns(patterns: &[String], mut known: KnownFiles) -> KnownFiles {
    let paths: std::collections::BTreeSet<PathBuf> = patterns.iter().flat_map(|pattern| matching_files(pattern)).collect();
    known.retain(|path, _| paths.contains(path));
    for path in paths {
        match read_file(&path) {
            Ok(groups) => {
                known.insert(path, groups);
            }
            Err(error) => warn!(error = &error as &dyn std::error::Error, "keeping the targets known so far"),
        }
    }
    known
}

/// Files whose last part matches the pattern, as Prometheus allows one `*` there; sorted.
pub fn matching_files(pattern: &str) -> Vec<PathBuf> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return if path.is_file() { vec![path.to_owned()] } else { Vec::new() };
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_match = |name: &str| name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_match)).map(|entry| entry.path()).collect();
    found.sort();
    if found.len() > FILES_MAX {
        warn!(pattern, files = found.len(), FILES_MAX, "too many files; the last ones are left out");
        found.truncate(FILES_MAX);
    }
    found
}

fn publish(sender: &watch::Sender<Arc<Discovery>>, found: Discovery) {
    let changed = sender.send_if_modified(|known| {
        let is_new = **known != found;
        *known = Arc::new(found);
        is_new
    });
    if changed {
        let known = sender.borrow();
        info!(pool = %known.pool, targets = known.targets.len(), "targets changed");
    }
}

/// In `--scrape-file` an address may also be a whole URL.
fn whole_urls(mut groups: Vec<TargetGroup>) -> Vec<TargetGroup> {
    for target in groups.iter_mut().flat_map(|group| &mut group.targets) {
        if let Some(labels) = url_labels(target.get("__address__")) {
            *target = labels;
        }
    }
    groups
}

/// The labels that lead to a URL.
pub fn url_labels(url: &str) -> Option<LabelSet> {
    let (scheme, rest) = url.split_once("://")?;
    let (address, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut labels = LabelSet::default();
    labels.set("__scheme__", scheme);
    labels.set("__address__", address);
    labels.set("__metrics_path__", if path.is_empty() { "/" } else { path });
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        labels.set(&format!("__param_{}", percent::decode(name)), percent::decode(value));
    }
    Some(labels)
}

async fn blocking(
    read: impl FnOnce() -> Result<Discovery, FileTargetsError> + Send + 'static,
) -> Result<Discovery, FileTargetsError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|error| Err(FileTargetsError::Read(PathBuf::new(), std::io::Error::other(error))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let groups = whole_urls(read_groups(text).unwrap());
        let defaults = TargetDefaults::envoys("files", Duration::from_secs(15));
        Discovery::of(&defaults, &groups).targets.into_iter().map(|t| format!("{} {}", t.url, t.namespace)).collect()
    }

    #[test]
    fn targets_get_envoys_path() {
        let text = r#"[{"targets":["127.0.0.1:15090","http://proxy:1/m?a=b%26c"],"labels":{"namespace":"bookinfo"}},
                       {"targets":["h:2"],"labels":{"__metrics_path__":"/metrics"}}]"#;
        let expected =
            ["http://127.0.0.1:15090/stats/prometheus bookinfo", "http://proxy:1/m?a=b%26c bookinfo", "http://h:2/metrics "];
        assert_eq!(read(text), expected);
        assert!(read_groups("{}").is_err());
    }

    #[test]
    fn patterns_name_files_of_both_kinds() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        put("a.json", r#"[{"targets":["a:1"]}]"#);
        put("b.yml", "- targets: ['b:1', b:2]\n  labels:\n    app: cart\n");
        put("c.txt", "nothing");
        let pattern = |name: &str| folder.path().join(name).display().to_string();
        let known = read_patterns(&[pattern("*.json"), pattern("*.yml"), pattern("missing.yml")], KnownFiles::new());
        let addresses = |known: &KnownFiles| -> Vec<String> {
            let targets = known.values().flatten().flat_map(|group| &group.targets);
            targets.map(|target| target.get("__address__").to_owned()).collect()
        };
        assert_eq!(addresses(&known), ["a:1", "b:1", "b:2"]);
        let labels = &known.values().nth(1).unwrap()[0].labels;
        assert_eq!((labels.get("app"), labels.get("__meta_filepath")), ("cart", pattern("b.yml").as_str()));
        // What cannot be read any more keeps its targets; what is gone does not.
        put("a.json", "[");
        std::fs::remove_file(folder.path().join("b.yml")).unwrap();
        assert_eq!(addresses(&read_patterns(&[pattern("*.json"), pattern("*.yml")], known)), ["a:1"]);
    }
}
