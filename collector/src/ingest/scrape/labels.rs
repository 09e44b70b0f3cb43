//! A set of labels as Prometheus understands it: sorted by name, an empty value is no label.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Names are unique and ascending by their bytes; no value is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSet(Vec<(Arc<str>, Arc<str>)>);

impl LabelSet {
    /// The value; empty when there is no such label.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.place(name).map_or("", |place| &self.0[place].1)
    }

    /// Sets a label; an empty value removes it.
    pub fn set(&mut self, name: &str, value: impl Into<Arc<str>>) {
        let value = value.into();
        match self.place(name) {
            Ok(place) if value.is_empty() => {
                self.0.remove(place);
            }
            Ok(place) => self.0[place].1 = value,
            Err(_) if value.is_empty() => {}
            Err(place) => self.0.insert(place, (name.into(), value)),
        }
    }

    /// Sets a label that is not there yet.
    pub fn set_default(&mut self, name: &str, value: &str) {
        if self.get(name).is_empty() {
            self.set(name, value);
        }
    }

    pub fn remove(&mut self, name: &str) {
        if let Ok(place) = self.place(name) {
            self.0.remove(place);
        }
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }
}

/// Of two labels with one name the later counts.
impl<N: AsRef<str>, V: Into<Arc<str>>> FromIterator<(N, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.set(name.as_ref(), value);
        }
        labels
    }
}

impl Serialize for LabelSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(&**name, &**value)?;
        }
        map.end()
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
#[must_use]
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A name for a label, with `_` for every character that a name cannot have, as Prometheus does for discovered ones.
#[must_use]
pub fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_empty_ones_are_none() {
        let mut labels: LabelSet = [("job", "a"), ("instance", "b"), ("job", "c"), ("none", "")].into_iter().collect();
        assert_eq!(serde_json::to_string(&labels).unwrap(), r#"{"instance":"b","job":"c"}"#);
        labels.set("instance", "");
        labels.set_default("job", "d");
        labels.set_default("app", "e");
        assert_eq!(serde_json::to_string(&labels).unwrap(), r#"{"app":"e","job":"c"}"#);
        assert_eq!((labels.get("job"), labels.get("instance"), labels.len()), ("c", "", 2));
    }

    #[test]
    fn names_follow_prometheus() {
        assert!(is_label_name("_a1") && !is_label_name("1a") && !is_label_name("") && !is_label_name("a-b"));
        assert_eq!(sanitized("app.kubernetes.io/part-of"), "app_kubernetes_io_part_of");
    }
}
