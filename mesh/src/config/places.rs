//! Where in its text each part of an object stands.

use std::collections::HashMap;

/// A stretch of text. Lines and columns count from 1, columns and lengths in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u32,
    pub column: u32,
    /// 0 when not known.
    pub length: u32,
}

/// Places of all values of one object, by path such as `spec.http[0].route[1].weight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    places: HashMap<String, Place>,
}

impl Places {
    /// The place of a path, or of the nearest part around it that the text has. Unknown for an object without text.
    #[must_use]
    pub fn find(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match parent(path) {
                Some(shorter) => path = shorter,
                None => return self.places.get("").copied().unwrap_or_default(),
            }
        }
    }

    /// Whether the text has exactly this path.
    #[must_use]
    pub fn contains(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Notes the place of a path.
    pub fn insert(&mut self, path: String, place: Place) {
        self.places.insert(path, place);
    }
}

/// Appends a key to a path; keys that are no plain words go in brackets.
#[must_use]
pub fn join_path(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match (plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{key:?}]"),
    }
}

/// Appends a position in a list to a path.
#[must_use]
pub fn item_path(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

fn parent(path: &str) -> Option<&str> {
    let cut = match path.strip_suffix("\"]") {
        Some(rest) => rest.rfind("[\"")?,
        None => path.rfind(['.', '['])?,
    };
    Some(&path[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_path_is_found_at_its_nearest_parent() {
        let mut places = Places::default();
        let at = |line| Place { line, column: 1, length: 0 };
        places.insert("spec".into(), at(1));
        places.insert("spec.http[0]".into(), at(2));
        places.insert("metadata.labels".into(), at(3));
        assert_eq!(places.find("spec.http[0].route[1].destination.host"), at(2));
        assert_eq!(places.find("spec.hosts"), at(1));
        assert_eq!(places.find("metadata.labels[\"app.kubernetes.io/name\"]"), at(3));
        assert_eq!(places.find("status"), Place::default());
    }
}
