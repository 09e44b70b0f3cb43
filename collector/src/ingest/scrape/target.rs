//! What a target is, and how the labels that a discovery found become one, as in Prometheus' `PopulateLabels`.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use super::client::HttpClient;
use super::labels::LabelSet;
use super::relabel::RelabelRules;
use crate::duration;

/// Bytes of one scrape, after decompression, unless its job says otherwise. A busy Envoy with all its statistics has a
/// few million.
pub const SCRAPE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What all targets of one job share.
#[derive(Debug)]
pub struct ScrapeJob {
    /// Also the name of its pool of targets.
    pub name: Arc<str>,
    /// A sample's own labels win over those of its target; otherwise they are kept as `exported_…`.
    pub honor_labels: bool,
    /// A sample's own time is taken, where it has one.
    pub honor_timestamps: bool,
    pub limits: ScrapeLimits,
    /// `metric_relabel_configs`: applied to the labels of each sample, its name as `__name__` included.
    pub metric_relabel: RelabelRules,
    /// Asks targets: TLS, credentials, redirects.
    pub client: HttpClient,
}

/// A scrape beyond one of them is refused as a whole, as Prometheus does; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrapeLimits {
    /// Bytes after decompression.
    pub body_bytes: usize,
    /// Samples after metric relabelling.
    pub samples: Option<usize>,
    /// Labels of one sample, those of its target included.
    pub labels: Option<usize>,
    pub label_name_bytes: Option<usize>,
    pub label_value_bytes: Option<usize>,
}

impl Default for ScrapeLimits {
    fn default() -> Self {
        Self { body_bytes: SCRAPE_BYTES_MAX, samples: None, labels: None, label_name_bytes: None, label_value_bytes: None }
    }
}

/// Hexadecimal digits that tell apart the targets of one URL and one job.
const HASH_DIGITS: usize = 8;

/// Somebody to scrape.
#[derive(Clone, Debug)]
pub struct ScrapeTarget {
    /// Names the target for as long as it lives, to every collector: its URL, and for all but the first of several with
    /// one URL also whose it is.
    pub key: Arc<str>,
    /// What else may have named it before: the state found under such a name is taken over.
    pub former_keys: Arc<[Arc<str>]>,
    /// Of a registered proxy.
    pub node_id: Option<Arc<str>>,
    pub url: String,
    /// Further `host:port` at which the same process tells the same counters.
    pub aliases: Arc<[String]>,
    /// Namespace of the workload; empty when not known.
    pub namespace: Arc<str>,
    /// False while a registered proxy is away; it is scraped as long as it answers.
    pub connected: bool,
    /// `None` for configured targets.
    pub registered_at_ms: Option<i64>,
    /// Given to each of its samples: `job`, `instance`, and what relabelling left. None begins with `__`.
    pub labels: Arc<LabelSet>,
    /// As they were before relabelling.
    pub discovered: Arc<LabelSet>,
    pub interval: Duration,
    pub timeout: Duration,
    pub job: Arc<ScrapeJob>,
    /// False when another target has the same URL: what the process counts is added to edges there, and once.
    pub is_counted: bool,
    /// Why it is not even asked: its job has more targets than its `target_limit`. It counts as down.
    pub refused: Option<Arc<str>>,
}

impl ScrapeTarget {
    /// Whether both are of one job and have the same labels, so that their series would be the same.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.url == other.url && self.job.name == other.job.name && self.labels == other.labels
    }

    /// The same as a further target of its URL, with its own series.
    #[must_use]
    pub(super) fn beside(self) -> Self {
        let mut hasher = blake3::Hasher::new();
        let labels = self.labels.iter().flat_map(|(name, value)| [name, value]);
        for text in std::iter::once(&self.job.name).chain(labels) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        let hash = hasher.finalize().to_hex();
        let key = format!("{}#{}-{}", self.url, self.job.name, &hash[..HASH_DIGITS]);
        Self { key: key.into(), is_counted: false, ..self }
    }
}

impl PartialEq for ScrapeTarget {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && self.node_id == other.node_id
            && self.aliases == other.aliases
            && self.namespace == other.namespace
            && self.connected == other.connected
            && self.registered_at_ms == other.registered_at_ms
            && self.labels == other.labels
            && self.discovered == other.discovered
            && (self.interval, self.timeout) == (other.interval, other.timeout)
            && Arc::ptr_eq(&self.job, &other.job)
            && (self.is_counted, &self.refused) == (other.is_counted, &other.refused)
    }
}

/// What a job says of its targets before relabelling.
#[derive(Clone, Debug)]
pub struct TargetDefaults {
    pub job: Arc<ScrapeJob>,
    pub interval: Duration,
    pub timeout: Duration,
    pub metrics_path: String,
    pub scheme: String,
    pub params: Vec<(String, Vec<String>)>,
    /// `relabel_configs`.
    pub relabel: RelabelRules,
}

/// Why discovered labels make no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("no address")]
    NoAddress,
    #[error("`{0}` is no scheme of a target; there are http and https")]
    Scheme(String),
    #[error("`{0}` is no address of a target")]
    Address(String),
    #[error("`{1}` is no {0}")]
    Duration(&'static str, String),
    #[error("the scrape timeout `{0}` is longer than the scrape interval `{1}`")]
    Timeout(String, String),
}

impl TargetDefaults {
    /// Envoys without a job of their own: their path, no credentials, their own labels first.
    #[must_use]
    pub fn envoys(name: &str, interval: Duration) -> Self {
        let job = ScrapeJob {
            name: name.into(),
            honor_labels: true,
            honor_timestamps: true,
            limits: ScrapeLimits::default(),
            metric_relabel: RelabelRules::default(),
            client: HttpClient::plain(),
        };
        Self {
            job: Arc::new(job),
            interval,
            timeout: super::default_timeout(interval),
            metrics_path: "/stats/prometheus".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            relabel: RelabelRules::default(),
        }
    }

    /// The target that the labels make; `None` when relabelling drops it.
    pub fn target(&self, found: &LabelSet) -> Result<Result<ScrapeTarget, Arc<LabelSet>>, TargetError> {
        let mut labels = found.clone();
        labels.set_default("job", &self.job.name);
        labels.set_default("__scrape_interval__", &duration::format(self.interval));
        labels.set_default("__scrape_timeout__", &duration::format(self.timeout));
        labels.set_default("__metrics_path__", &self.metrics_path);
        labels.set_default("__scheme__", &self.scheme);
        for (name, values) in &self.params {
            if let Some(first) = values.first() {
                labels.set(&format!("__param_{name}"), first.as_str());
            }
        }
        let discovered = Arc::new(labels.clone());
        if !self.relabel.apply(&mut labels) {
            return Ok(Err(discovered));
        }
        self.finish(labels, discovered).map(Ok)
    }

    fn finish(&self, mut labels: LabelSet, discovered: Arc<LabelSet>) -> Result<ScrapeTarget, TargetError> {
        let address = address(&labels)?;
        let interval = time("scrape interval", labels.get("__scrape_interval__"))?;
        let timeout = time("scrape timeout", labels.get("__scrape_timeout__"))?;
        // What the job itself says was judged when it was read.
        if timeout > interval && (timeout, interval) != (self.timeout, self.interval) {
            return Err(TargetError::Timeout(duration::format(timeout), duration::format(interval)));
        }
        labels.set_default("instance", &address);
        let url = self.url(&labels, &address);
        if url.parse::<http::Uri>().is_err() {
            return Err(TargetError::Address(address));
        }
        labels.retain(|name| !name.starts_with("__"));
        Ok(ScrapeTarget {
            key: url.as_str().into(),
            former_keys: Arc::default(),
            node_id: None,
            aliases: Arc::default(),
            url,
            namespace: labels.get("namespace").into(),
            connected: true,
            registered_at_ms: None,
            labels: Arc::new(labels),
            discovered,
            interval,
            timeout,
            job: self.job.clone(),
            is_counted: true,
            refused: None,
        })
    }

    fn url(&self, labels: &LabelSet, address: &str) -> String {
        let scheme = Some(labels.get("__scheme__")).filter(|scheme| !scheme.is_empty()).unwrap_or("http");
        let path = labels.get("__metrics_path__");
        let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
        let mut url = format!("{scheme}://{address}{slash}{}", escaped(path, b"-_.~$&+,/:;=@"));
        let mut params: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
        for (name, values) in &self.params {
            params.insert(name, values.iter().map(String::as_str).collect());
        }
        for (name, value) in labels.iter() {
            if let Some(name) = name.strip_prefix("__param_") {
                match params.entry(name).or_default() {
                    values if values.is_empty() => values.push(value),
                    values => values[0] = value,
                }
            }
        }
        let pairs = params.iter().flat_map(|(name, values)| values.iter().map(move |value| (*name, *value)));
        for (index, (name, value)) in pairs.enumerate() {
            let word = |text| escaped(text, b"-_.~ ").replace(' ', "+");
            url.push_str(&format!("{}{}={}", if index == 0 { '?' } else { '&' }, word(name), word(value)));
        }
        url
    }
}

/// `__address__`, with the port of its scheme where it has none.
fn address(labels: &LabelSet) -> Result<String, TargetError> {
    let address = labels.get("__address__");
    if address.is_empty() {
        return Err(TargetError::NoAddress);
    }
    if address.contains('/') {
        return Err(TargetError::Address(address.to_owned()));
    }
    let port = match labels.get("__scheme__") {
        "http" | "" => 80,
        "https" => 443,
        other => return Err(TargetError::Scheme(other.to_owned())),
    };
    let host_only = match address.strip_prefix('[') {
        Some(rest) => rest.ends_with(']'),
        None => !address.contains(':'),
    };
    if address.parse::<Ipv6Addr>().is_ok() || (address.matches(':').count() > 1 && !address.starts_with('[')) {
        // Without brackets nobody knows where the port begins.
        return Err(TargetError::Address(address.to_owned()));
    }
    Ok(if host_only { format!("{address}:{port}") } else { address.to_owned() })
}

fn time(what: &'static str, text: &str) -> Result<Duration, TargetError> {
    let wrong = || TargetError::Duration(what, text.to_owned());
    duration::parse(text).filter(|time| !time.is_zero()).ok_or_else(wrong)
}

/// Percent-encodes everything but letters, digits and the bytes of `plain`.
fn escaped(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::relabel::{RelabelConfig, RelabelRule};
    use super::*;

    fn defaults(rules: Vec<RelabelRule>) -> TargetDefaults {
        TargetDefaults {
            metrics_path: "/metrics".to_owned(),
            params: vec![("module".to_owned(), vec!["a b".to_owned(), "c&d".to_owned()])],
            relabel: RelabelRules::new(rules),
            ..TargetDefaults::envoys("pods", Duration::from_secs(60))
        }
    }

    fn found(text: &str) -> LabelSet {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect()
    }

    #[test]
    fn labels_become_a_target() {
        let target = defaults(vec![]).target(&found("__address__=h __meta_x=1 app=cart namespace=shop")).unwrap().unwrap();
        assert_eq!(target.url, "http://h:80/metrics?module=a+b&module=c%26d");
        assert_eq!((&*target.key, &*target.namespace), (target.url.as_str(), "shop"));
        assert_eq!(
            serde_json::to_string(&*target.labels).unwrap(),
            r#"{"app":"cart","instance":"h:80","job":"pods","namespace":"shop"}"#
        );
        assert_eq!(
            serde_json::to_string(&*target.discovered).unwrap(),
            r#"{"__address__":"h","__meta_x":"1","__metrics_path__":"/metrics","__param_module":"a b","__scheme__":"http","__scrape_interval__":"1m","__scrape_timeout__":"10s","app":"cart","job":"pods","namespace":"shop"}"#
        );
        assert_eq!((target.interval.as_secs(), target.timeout.as_secs()), (60, 10));
    }

    #[test]
    fn labels_say_how_to_scrape() {
        let text =
            "__address__=h:1 __scheme__=https __metrics_path__=m?x __param_other=z __scrape_interval__=5s __scrape_timeout__=5s";
        let target = defaults(vec![]).target(&found(text)).unwrap().unwrap();
        assert_eq!(target.url, "https://h:1/m%3Fx?module=a+b&module=c%26d&other=z");
        assert_eq!(target.interval.as_secs(), 5);
    }

    #[test]
    fn what_is_no_target_says_why() {
        let wrong = |text: &str| defaults(vec![]).target(&found(text)).unwrap_err();
        assert_eq!(wrong("a=b"), TargetError::NoAddress);
        assert_eq!(wrong("__address__=h/x"), TargetError::Address("h/x".to_owned()));
        assert_eq!(wrong("__address__=::1"), TargetError::Address("::1".to_owned()));
        assert_eq!(wrong("__address__=h __scheme__=ftp"), TargetError::Scheme("ftp".to_owned()));
        assert_eq!(wrong("__address__=h __scrape_interval__=0s").to_string(), "`0s` is no scrape interval");
        assert_eq!(
            wrong("__address__=h __scrape_interval__=5s").to_string(),
            "the scrape timeout `10s` is longer than the scrape interval `5s`"
        );
        let drop = RelabelConfig {
            action: Some("drop".to_owned()),
            source_labels: Some(vec!["a".to_owned()]),
            regex: Some("b".to_owned()),
            ..RelabelConfig::default()
        };
        let dropped = defaults(vec![RelabelRule::new(drop).unwrap()]).target(&found("__address__=h a=b")).unwrap();
        assert_eq!(dropped.unwrap_err().get("a"), "b");
    }
}
