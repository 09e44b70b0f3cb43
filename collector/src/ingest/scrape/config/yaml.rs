//! YAML as a tree that knows its lines, and tables whose unknown keys are mistakes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use crate::duration;

/// Deepest nesting of lists and maps.
const DEPTH_MAX: usize = 32;
/// Values of one file, those that aliases repeat included.
const NODES_MAX: usize = 200_000;

/// What is wrong, each with its line.
#[derive(Debug, Default)]
pub struct Mistakes(pub Vec<(u64, String)>);

impl Mistakes {
    pub fn add(&mut self, line: u64, text: impl fmt::Display) {
        self.0.push((line, text.to_string()));
    }
}

/// A value and the line it stands in.
#[derive(Clone, Debug)]
pub struct Node {
    pub line: u64,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Null,
    /// As it is written, without its quotes.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: String,
    pub line: u64,
    pub value: Node,
}

/// Reads one document; the line and the reason when it is none.
pub fn parse(text: &str) -> Result<Node, (u64, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX, flow_nesting_limit: DEPTH_MAX, max_nodes: NODES_MAX, max_documents: 1
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    };
    let raw = serde_saphyr::from_str_with_options::<Raw>(text, options).map_err(|error| {
        let rendered = error.without_snippet().to_string();
        let line = error.location().map_or(1, |location| location.line());
        (line, rendered.split(" at line ").next().unwrap_or(&rendered).replace(char::is_control, " "))
    })?;
    Ok(raw.node(text))
}

impl Node {
    /// Null, and what is no table, is an empty one; the latter is a mistake.
    pub fn table<'n>(&'n self, what: &'static str, mistakes: &mut Mistakes) -> Table<'n> {
        let mut entries: Vec<&Entry> = Vec::new();
        match &self.value {
            Value::Map(all) => {
                for entry in all {
                    if entries.iter().any(|known| known.key == entry.key) {
                        mistakes.add(entry.line, format!("`{}` is there twice", entry.key));
                    } else {
                        entries.push(entry);
                    }
                }
            }
            Value::Null => {}
            _ => mistakes.add(self.line, format!("{what} is a table of keys and values")),
        }
        Table { what, line: self.line, entries }
    }

    pub fn list<'n>(&'n self, what: &str, mistakes: &mut Mistakes) -> &'n [Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Null => &[],
            _ => {
                mistakes.add(self.line, format!("`{what}` is a list"));
                &[]
            }
        }
    }

    pub fn text(&self, what: &str, mistakes: &mut Mistakes) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            Value::Null => None,
            _ => {
                mistakes.add(self.line, format!("`{what}` is a single value"));
                None
            }
        }
    }
}

/// A map whose keys are taken out one by one; what is left is unknown.
pub struct Table<'n> {
    what: &'static str,
    pub line: u64,
    entries: Vec<&'n Entry>,
}

impl<'n> Table<'n> {
    pub fn take(&mut self, key: &str) -> Option<&'n Entry> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place))
    }

    pub fn text(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<String> {
        self.text_and_line(key, mistakes).map(|(text, _)| text)
    }

    pub fn text_and_line(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<(String, u64)> {
        let entry = self.take(key)?;
        entry.value.text(key, mistakes).map(|text| (text.to_owned(), entry.line))
    }

    /// Reads a value; what it should have been is told when it is not.
    pub fn parsed<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let (text, line) = self.text_and_line(key, mistakes)?;
        let value = read(&text);
        if value.is_none() {
            mistakes.add(line, format!("`{key}: {text}` is not {expected}"));
        }
        value
    }

    pub fn flag(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<bool> {
        self.parsed(key, "true or false", |text| text.parse().ok(), mistakes)
    }

    pub fn duration(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<Duration> {
        self.parsed(key, "a duration such as 15s or 1m", duration::parse, mistakes)
    }

    /// A limit; 0 is none.
    pub fn limit(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<usize> {
        self.parsed(key, "a number", |text| text.parse().ok(), mistakes).filter(|limit| *limit > 0)
    }

    pub fn path(&mut self, key: &str, folder: &Path, mistakes: &mut Mistakes) -> Option<PathBuf> {
        self.text(key, mistakes).map(|path| folder.join(path))
    }

    pub fn texts(&mut self, key: &str, mistakes: &mut Mistakes) -> Option<Vec<String>> {
        let entry = self.take(key)?;
        let items = entry.value.list(key, mistakes);
        Some(items.iter().filter_map(|item| item.text(key, mistakes).map(str::to_owned)).collect())
    }

    /// Names and texts; null is the empty text.
    pub fn pairs(&mut self, key: &str, mistakes: &mut Mistakes) -> Vec<(String, String)> {
        let Some(entry) = self.take(key) else { return Vec::new() };
        let table = entry.value.table("the value", mistakes);
        let pairs = table.entries.iter();
        pairs.map(|entry| (entry.key.clone(), entry.value.text(&entry.key, mistakes).unwrap_or("").to_owned())).collect()
    }

    pub fn entries(&self) -> &[&'n Entry] {
        &self.entries
    }

    /// Whatever was not taken is unknown.
    pub fn finish(self, mistakes: &mut Mistakes) {
        for entry in self.entries {
            mistakes.add(entry.line, format!("{} has no key `{}`", self.what, entry.key));
        }
    }

    /// As [`Self::finish`], with keys that Prometheus knows and this collector does not do.
    pub fn finish_with(mut self, not_done: &[(&str, &str)], mistakes: &mut Mistakes) {
        for (key, instead) in not_done {
            if let Some(entry) = self.take(key) {
                mistakes.add(entry.line, format!("`{key}` is not supported{instead}"));
            }
        }
        self.finish(mistakes);
    }
}

/// As the parser gives it: scalars by their types, with their places.
struct Raw(Spanned<RawValue>);

enum RawValue {
    Null,
    Text(String),
    /// Of another type: what counts is how it is written.
    Typed(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn node(self, source: &str) -> Node {
        let location = self.0.referenced;
        let line = location.line();
        let value = match self.0.value {
            RawValue::Null => Value::Null,
            RawValue::Text(text) => Value::Scalar(text),
            RawValue::Typed(shown) => {
                let span = location.span();
                let place = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok());
                let written = place(span.byte_offset()).zip(place(span.byte_len()));
                let written = written.and_then(|(start, length)| source.get(start..start + length));
                Value::Scalar(written.map_or(shown, |text| text.trim().to_owned()))
            }
            RawValue::List(items) => Value::List(items.into_iter().map(|item| item.node(source)).collect()),
            RawValue::Map(pairs) => Value::Map(
                pairs
                    .into_iter()
                    .map(|(key, value)| Entry { line: key.referenced.line(), key: key.value, value: value.node(source) })
                    .collect(),
            ),
        };
        Node { line, value }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for RawValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<RawValue, E> {
        Ok(RawValue::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawValue, D::Error> {
        RawValue::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<RawValue, E> {
        Ok(RawValue::Typed(flag.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<RawValue, E> {
        Ok(RawValue::Typed(number.to_string()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<RawValue, E> {
        Ok(RawValue::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<RawValue, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(RawValue::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RawValue, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            map.push((key, entries.next_value()?));
        }
        Ok(RawValue::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_as_they_are_written() {
        let node = parse("a: true\nb: 007\nc: \"x\"\nd: 1.50\ne:\nf: [on, ~, 0x1f]\n").unwrap();
        let Value::Map(entries) = node.value else { panic!("no map") };
        let shown: Vec<String> =
            entries.iter().map(|entry| format!("{} {:?} {}", entry.key, entry.value.value, entry.line)).collect();
        assert_eq!(
            shown[..5],
            [r#"a Scalar("true") 1"#, r#"b Scalar("007") 2"#, r#"c Scalar("x") 3"#, r#"d Scalar("1.50") 4"#, "e Null 5"]
        );
        assert!(shown[5].contains(r#"Scalar("on")"#) && shown[5].contains(r#"Scalar("0x1f")"#), "{}", shown[5]);
    }

    #[test]
    fn what_is_no_yaml_names_its_line() {
        let (line, _) = parse("a: 1\nb: [\n").unwrap_err();
        assert!(line >= 2, "{line}");
    }
}
