//! Finds the series that a line of a scrape belongs to: its labels, those of its target, and what relabelling makes of both.

use std::borrow::Cow;
use std::sync::Arc;

use super::labels::LabelSet;
use super::target::{ScrapeJob, ScrapeLimits};
use crate::ingest::exposition::labels;
use crate::store::sample::NAME;
use crate::store::sample::index::{Full, Series, SeriesIndex};

/// Labels of one sample, those of its target included.
pub const LABELS_MAX: usize = 256;
/// Bytes of the name of a label, or of a metric.
pub const NAME_BYTES_MAX: usize = 1_024;
/// Bytes of the value of a label.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;

/// What becomes of the samples of a series.
#[derive(Clone, Debug)]
pub enum Place {
    Kept(Arc<Series>),
    /// By relabelling.
    Dropped,
    Refused(SampleRefusal),
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SampleRefusal {
    /// Not a line of the format.
    BadLine,
    /// Too many labels, or too long ones.
    LabelLimit,
    /// More series than one target may have.
    SampleLimit,
    /// The dictionary is full.
    SeriesLimit,
    /// The series had a sample of that time.
    Duplicate,
    /// Its own time lies too far away.
    BadTime,
    /// By relabelling.
    Dropped,
}

impl SampleRefusal {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadLine => "bad_line",
            Self::LabelLimit => "label_limit",
            Self::SampleLimit => "sample_limit",
            Self::SeriesLimit => "series_limit",
            Self::Duplicate => "duplicate",
            Self::BadTime => "bad_time",
            Self::Dropped => "dropped",
        }
    }
}

/// A sample beyond a limit of its job: the whole scrape is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    #[error("there are more than {0} samples")]
    Samples(usize),
    #[error("a sample of {name} has more than {max} labels")]
    Labels { name: String, max: usize },
    #[error("a sample of {name} has a label with a name of more than {max} bytes")]
    LabelName { name: String, max: usize },
    #[error("a sample of {name} has a label with a value of more than {max} bytes")]
    LabelValue { name: String, max: usize },
}

/// Names the series of one target.
#[derive(Clone)]
pub struct Naming {
    pub index: Arc<SeriesIndex>,
    pub group: i64,
    pub labels: Arc<LabelSet>,
    pub job: Arc<ScrapeJob>,
}

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl Naming {
    /// The group of a target: its samples have the same times.
    #[must_use]
    pub fn group_of(key: &str) -> i64 {
        let hash = blake3::hash(key.as_bytes());
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash.as_bytes()[..8]);
        i64::from_le_bytes(bytes) & i64::MAX
    }

    /// The series of a name and a block of labels as written.
    pub fn place(&self, name: &str, block: &str) -> Result<Place, LimitError> {
        let Some(pairs) = self.pairs(name, block) else { return Ok(Place::Refused(SampleRefusal::BadLine)) };
        if self.job.metric_relabel.is_empty() {
            return self.resolve(&pairs);
        }
        let mut set: LabelSet = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        if !self.job.metric_relabel.apply(&mut set) {
            return Ok(Place::Dropped);
        }
        if set.get(NAME).is_empty() {
            return Ok(Place::Refused(SampleRefusal::BadLine));
        }
        let pairs: Pairs<'_> = set.iter().map(|(name, value)| (Cow::Borrowed(&**name), Cow::Borrowed(&**value))).collect();
        self.resolve(&pairs)
    }

    /// A series of the scrape itself, as `up`.
    #[must_use]
    pub fn own(&self, name: &str) -> Option<Arc<Series>> {
        let mut pairs: Vec<(&str, &str)> = self.labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        let at = pairs.partition_point(|(before, _)| *before < NAME);
        pairs.insert(at, (NAME, name));
        self.index.resolve(self.group, &pairs).ok()
    }

    /// Labels by name, without empty ones; `None` when they cannot be read or a name comes twice.
    fn pairs<'a>(&'a self, name: &'a str, block: &'a str) -> Option<Pairs<'a>> {
        let mut pairs: Pairs<'a> = Vec::with_capacity(32);
        pairs.push((Cow::Borrowed(NAME), Cow::Borrowed(name)));
        for pair in labels(block) {
            let (name, value) = pair.ok()?;
            pairs.push((Cow::Borrowed(name), value));
        }
        let by_name = |a: &(Cow<'a, str>, Cow<'a, str>), b: &(Cow<'a, str>, Cow<'a, str>)| a.0.cmp(&b.0);
        pairs.sort_by(by_name);
        if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return None;
        }
        pairs.retain(|(_, value)| !value.is_empty());
        for (name, value) in self.labels.iter() {
            match pairs.iter_mut().position(|(own, _)| **own == **name) {
                Some(_) if self.job.honor_labels => {}
                Some(at) => {
                    let exposed = std::mem::replace(&mut pairs[at].1, Cow::Borrowed(&**value));
                    let mut exported = format!("exported_{name}");
                    while pairs.iter().any(|(own, _)| **own == *exported) || !self.labels.get(&exported).is_empty() {
                        exported.insert_str(0, "exported_");
                    }
                    pairs.push((Cow::Owned(exported), exposed));
                }
                None => pairs.push((Cow::Borrowed(&**name), Cow::Borrowed(&**value))),
            }
        }
        pairs.sort_by(by_name);
        Some(pairs)
    }

    fn resolve(&self, pairs: &Pairs<'_>) -> Result<Place, LimitError> {
        check(pairs, &self.job.limits)?;
        let long = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
            name.len() > NAME_BYTES_MAX || value.len() > VALUE_BYTES_MAX || (name == NAME && value.len() > NAME_BYTES_MAX)
        };
        if pairs.len() > LABELS_MAX || pairs.iter().any(long) {
            return Ok(Place::Refused(SampleRefusal::LabelLimit));
        }
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
        Ok(match self.index.resolve(self.group, &pairs) {
            Ok(series) => Place::Kept(series),
            Err(Full) => Place::Refused(SampleRefusal::SeriesLimit),
        })
    }
}

fn check(pairs: &Pairs<'_>, limits: &ScrapeLimits) -> Result<(), LimitError> {
    let name = || pairs.iter().find(|(name, _)| name == NAME).map_or_else(String::new, |(_, value)| value.to_string());
    if let Some(max) = limits.labels.filter(|max| pairs.len() > *max) {
        return Err(LimitError::Labels { name: name(), max });
    }
    if let Some(max) = limits.label_name_bytes.filter(|max| pairs.iter().any(|(name, _)| name.len() > *max)) {
        return Err(LimitError::LabelName { name: name(), max });
    }
    if let Some(max) = limits.label_value_bytes.filter(|max| pairs.iter().any(|(_, value)| value.len() > *max)) {
        return Err(LimitError::LabelValue { name: name(), max });
    }
    Ok(())
}
