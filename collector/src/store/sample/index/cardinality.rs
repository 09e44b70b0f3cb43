//! Where the series come from: which names and labels have the most.

use std::collections::HashMap;
use std::sync::Arc;

use super::SeriesIndex;
use crate::store::sample::NAME;

/// What there is most of, each list from the largest on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    pub series: usize,
    pub label_pairs: usize,
    pub series_by_name: Vec<(Arc<str>, usize)>,
    pub values_by_label: Vec<(Arc<str>, usize)>,
    pub bytes_by_label: Vec<(Arc<str>, usize)>,
    pub series_by_pair: Vec<(Arc<str>, usize)>,
}

impl SeriesIndex {
    /// At most `limit` of each. It looks at every pair.
    #[must_use]
    pub fn cardinality(&self, limit: usize) -> Cardinality {
        let inner = self.inner.read();
        let mut counts = Cardinality { series: inner.series_ids.len(), ..Cardinality::default() };
        let mut labels: HashMap<&Arc<str>, (usize, usize)> = HashMap::new();
        for pair in inner.pairs.iter().flatten().filter(|pair| !pair.series.is_empty()) {
            counts.label_pairs += 1;
            let (values, bytes) = labels.entry(&pair.name).or_default();
            *values += 1;
            *bytes += pair.value.len() * pair.series.len();
            if &*pair.name == NAME {
                counts.series_by_name.push((pair.value.clone(), pair.series.len()));
            }
            counts.series_by_pair.push((format!("{}={}", pair.name, pair.value).into(), pair.series.len()));
        }
        counts.values_by_label = labels.iter().map(|(name, (values, _))| ((*name).clone(), *values)).collect();
        counts.bytes_by_label = labels.iter().map(|(name, (_, bytes))| ((*name).clone(), *bytes)).collect();
        let lists =
            [&mut counts.series_by_name, &mut counts.values_by_label, &mut counts.bytes_by_label, &mut counts.series_by_pair];
        for list in lists {
            list.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            list.truncate(limit);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_most_of_stands_first() {
        let index = SeriesIndex::new(0, 100);
        for instance in ["a", "bb", "c"] {
            index.resolve(1, &[(NAME, "up"), ("instance", instance)]).unwrap();
        }
        index.resolve(1, &[(NAME, "down"), ("instance", "a")]).unwrap();
        let counts = index.cardinality(2);
        let of = |list: &[(Arc<str>, usize)]| list.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
        assert_eq!((counts.series, counts.label_pairs), (4, 5));
        assert_eq!(of(&counts.series_by_name), ["up 3", "down 1"]);
        assert_eq!(of(&counts.values_by_label), ["instance 3", "__name__ 2"]);
        assert_eq!(of(&counts.bytes_by_label), ["__name__ 10", "instance 5"]);
        assert_eq!(of(&counts.series_by_pair), ["__name__=up 3", "instance=a 2"]);
    }
}
