//! One YAML document as a tree that knows where each value stands.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::{Place, Places, item_path, join_path};

/// Deepest nesting of lists and maps that is read.
const DEPTH_MAX: usize = 48;
/// Values in one document, those repeated by aliases included.
const NODES_MAX: usize = 100_000;
/// Values that aliases may repeat: an object of the mesh hardly needs any.
const ALIAS_NODES_MAX: usize = 10_000;

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    /// Bytes of the document, for the spelling of scalars.
    pub bytes: (usize, usize),
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_place: Place,
    pub value: Node,
}

/// Why a document is no YAML.
#[derive(Debug)]
pub(super) struct SyntaxError {
    pub message: String,
    pub place: Place,
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: ALIAS_NODES_MAX,
        },
        // Duplicates are reported with all other errors instead of ending the parse.
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        // YAML 1.2, as Kubernetes' users expect of labels: `on` and `no` are texts.
        strict_booleans: true,
        with_snippet: false,
    };
    let mut node = serde_saphyr::from_str_with_options::<Node>(text, options).map_err(|error| syntax_error(&error))?;
    node.keep_to_first_lines(text);
    Ok(node)
}

fn syntax_error(error: &serde_saphyr::Error) -> SyntaxError {
    let place = error.location().map(place_of).unwrap_or_default();
    let rendered = error.without_snippet().to_string();
    let message = rendered.split(" at line ").next().unwrap_or(&rendered);
    SyntaxError { message: message.replace(char::is_control, " "), place }
}

impl Node {
    /// Places of all values below, by path. Lists and maps stand where their key does.
    pub fn places(&self) -> Places {
        let mut places = Places::default();
        collect(self, self.place, String::new(), &mut places);
        places
    }

    /// Marks of texts over several lines end with the first.
    fn keep_to_first_lines(&mut self, text: &str) {
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.keep_to_first_lines(text)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.keep_to_first_lines(text)),
            _ => {
                let written = text.get(self.bytes.0..self.bytes.1).unwrap_or_default();
                if let Some((first, _)) = written.split_once('\n') {
                    self.place.length = u32::try_from(first.trim_end().chars().count()).unwrap_or(u32::MAX);
                }
            }
        }
    }

    /// Value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Where to point for this value in a list: at the first key of a map.
    pub fn mark(&self) -> Place {
        match &self.value {
            Value::Map(entries) => entries.first().map_or(self.place, |entry| entry.key_place),
            _ => self.place,
        }
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }
}

impl Entry {
    /// Where to point for the value: at its key when it is no scalar.
    pub fn place(&self) -> Place {
        match self.value.value {
            Value::List(_) | Value::Map(_) | Value::Null => self.key_place,
            _ => self.value.place,
        }
    }
}

fn collect(node: &Node, place: Place, path: String, places: &mut Places) {
    match &node.value {
        Value::List(items) => {
            for (index, child) in items.iter().enumerate() {
                collect(child, child.mark(), item_path(&path, index), places);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                collect(&entry.value, entry.place(), join_path(&path, &entry.key), places);
            }
        }
        _ => {}
    }
    places.insert(path, place);
}

fn place_of(location: Location) -> Place {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Place { line: small(location.line()), column: small(location.column()), length: small(location.span().len()) }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        let location = spanned.referenced;
        let span = location.span();
        let start = usize::try_from(span.byte_offset().unwrap_or(0)).unwrap_or(0);
        let length = usize::try_from(span.byte_len().unwrap_or(0)).unwrap_or(0);
        let mut place = place_of(location);
        if matches!(spanned.value, Value::List(_) | Value::Map(_)) {
            // A container's span is that of its first token, which says nothing about its extent.
            place.length = 0;
        }
        Ok(Self { place, bytes: (start, start.saturating_add(length)), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let key_place = place_of(key.referenced);
            map.push(Entry { key: key.value, key_place, value: entries.next_value()? });
        }
        Ok(Value::Map(map))
    }
}
