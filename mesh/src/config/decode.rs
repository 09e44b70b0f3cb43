//! Turns a tree into typed values and reports everything that is wrong on the way, not only the first error.
//!
//! Serde stops at the first error. So each error is noted with its path, the path is left out, and the rest is tried
//! again until nothing is wrong any more; unknown fields are noted in passing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};

use super::tree::{Entry, Node, Value};
use super::{Place, item_path, join_path};
use crate::codes;
use crate::nearest::nearest;

/// Errors of one object that are listed before giving up.
const PROBLEMS_MAX: usize = 50;

/// One thing wrong with the shape of an object.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub code: &'static str,
    pub path: String,
    pub place: Place,
    pub message: String,
    pub suggestions: Vec<String>,
}

/// Reads a `T`; `None` when there was any problem.
pub(super) fn decode<'n, T: de::Deserialize<'n>>(
    node: &'n Node,
    place: Place,
    path: &str,
    text: &'n str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let context = Context { text, noted: RefCell::default(), skipped: RefCell::default() };
    let mut wrong = Vec::new();
    let value = loop {
        let reader = Reader { node, place, path: path.to_owned(), context: &context };
        match T::deserialize(reader) {
            Ok(value) => break Some(value),
            Err(error) => {
                let problem = error.into_problem(path, place);
                let hopeless = problem.path == path || wrong.len() >= PROBLEMS_MAX;
                let again = context.skipped.borrow_mut().insert(problem.path.clone());
                wrong.push(problem);
                if hopeless || !again {
                    break None;
                }
            }
        }
    };
    let clean = wrong.is_empty() && context.noted.borrow().is_empty();
    problems.append(&mut wrong);
    problems.extend(context.noted.into_inner().into_values().take(PROBLEMS_MAX));
    value.filter(|_| clean)
}

struct Context<'n> {
    text: &'n str,
    /// Unknown and duplicate fields by path.
    noted: RefCell<BTreeMap<String, Problem>>,
    /// Paths that are known to be wrong.
    skipped: RefCell<HashSet<String>>,
}

struct Reader<'n, 'c> {
    node: &'n Node,
    /// Where to point: at the key for lists and maps.
    place: Place,
    path: String,
    context: &'c Context<'n>,
}

#[derive(Debug)]
struct Error {
    message: String,
    suggestions: Vec<String>,
    at: Option<(String, Place)>,
}

impl Error {
    fn new(message: String) -> Self {
        Self { message, suggestions: Vec::new(), at: None }
    }

    fn at(mut self, path: &str, place: Place) -> Self {
        self.at.get_or_insert_with(|| (path.to_owned(), place));
        self
    }

    fn into_problem(self, path: &str, place: Place) -> Problem {
        let (path, place) = self.at.unwrap_or_else(|| (path.to_owned(), place));
        Problem { code: codes::WRONG_VALUE, path, place, message: self.message, suggestions: self.suggestions }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let expected = expected.to_string();
        let mut error = Self::new(format!("expected {expected}, found {}", describe_unexpected(found)));
        if let (Unexpected::Signed(number), true) = (found, expected.starts_with("a duration")) {
            error.suggestions.push(format!("{number}s"));
        }
        error
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let mut error = Self::invalid_type(found, expected);
        if let (Unexpected::Str(text), true) = (found, expected.to_string().starts_with("a duration")) {
            error.suggestions.extend(text.parse::<u32>().ok().map(|number| format!("{number}s")));
        }
        error
    }

    fn unknown_variant(found: &str, expected: &'static [&'static str]) -> Self {
        let mut error = Self::new(format!("`{}` is none of {}", found.escape_debug(), list(expected)));
        error.suggestions = nearest(found, expected.iter().copied());
        error
    }
}

fn describe_unexpected(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Bool(flag) => flag.to_string(),
        Unexpected::Str(text) => format!("`{}`", text.escape_debug()),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a map".to_owned(),
        Unexpected::Unit => "nothing".to_owned(),
        other => other.to_string(),
    }
}

fn list(words: &[&str]) -> String {
    /// More names than this help nobody.
    const NAMED_MAX: usize = 8;
    let quoted: Vec<String> = words.iter().take(NAMED_MAX).map(|word| format!("`{word}`")).collect();
    let more = if words.len() > NAMED_MAX { ", …" } else { "" };
    quoted.join(", ") + more
}

impl<'n> Reader<'n, '_> {
    fn wrong<T>(&self, expected: &str) -> Result<T, Error> {
        Err(Error::new(format!("expected {expected}, found {}", self.found())).at(&self.path, self.place))
    }

    fn found(&self) -> String {
        match &self.node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Int(_) | Value::Float(_) => format!("the number {}", self.spelling()),
            Value::Text(text) => format!("`{}`", shorten(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }

    /// The scalar as it is written.
    fn spelling(&self) -> &'n str {
        let (start, end) = self.node.bytes;
        self.context.text.get(start..end).unwrap_or_default()
    }

    /// `method: GET` is a common slip for `method: {exact: GET}`.
    fn suggest_exact(&self, mut error: Error, known: &[&str]) -> Error {
        if known.first() == Some(&"exact") && matches!(self.node.value, Value::Text(_)) {
            error.suggestions.push(format!("{{exact: {}}}", self.spelling()));
        }
        error
    }

    fn text(&self) -> Result<&'n str, Error> {
        match &self.node.value {
            Value::Text(text) => Ok(text),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                let message = format!("expected a text, found {}: put it in quotes", self.found());
                let mut error = Error::new(message).at(&self.path, self.place);
                error.suggestions.push(format!("\"{}\"", self.spelling()));
                Err(error)
            }
            Value::Null | Value::List(_) | Value::Map(_) => self.wrong("a text"),
        }
    }

    fn whole_number(&self, min: i64, max: i64) -> Result<i64, Error> {
        match self.node.value {
            Value::Int(number) if (min..=max).contains(&number) => Ok(number),
            Value::Int(_) if max < i64::from(u32::MAX) => self.wrong(&format!("a whole number from {min} to {max}")),
            _ if min == 0 => self.wrong("a whole number, 0 or more"),
            _ => self.wrong("a whole number"),
        }
    }

    fn child(&self, node: &'n Node, place: Place, path: String) -> Self {
        Reader { node, place, path, context: self.context }
    }

    /// Entries that the reader of a struct shall see: those it knows, that are set, and that are not yet known to be wrong.
    fn fields(&self, entries: &'n [Entry], known: &'static [&'static str]) -> Vec<(&'n Entry, String)> {
        let mut seen = HashSet::new();
        let mut fields = Vec::new();
        for entry in entries {
            let path = join_path(&self.path, &entry.key);
            if !seen.insert(entry.key.as_str()) {
                self.note_duplicate(entry, path);
            } else if !known.contains(&entry.key.as_str()) {
                self.note_unknown(entry, path, known);
            } else if !matches!(entry.value.value, Value::Null) && !self.context.skipped.borrow().contains(&path) {
                fields.push((entry, path));
            }
        }
        fields
    }

    fn note_unknown(&self, entry: &Entry, path: String, known: &'static [&'static str]) {
        let visible: Vec<&str> = known.iter().copied().filter(|name| !name.starts_with('_')).collect();
        let suggestions = nearest(&entry.key, visible.iter().copied());
        let hint = match suggestions.first() {
            Some(best) => format!("did you mean `{best}`?"),
            None => format!("known here are {}", list(&visible)),
        };
        let message = format!("unknown field `{}`; {hint}", shorten(&entry.key));
        self.note(Problem { code: codes::UNKNOWN_FIELD, path, place: entry.key_place, message, suggestions });
    }

    fn note_duplicate(&self, entry: &Entry, path: String) {
        let message = format!("`{}` is here for the second time; keep one", shorten(&entry.key));
        self.note(Problem { code: codes::DUPLICATE_KEY, path, place: entry.key_place, message, suggestions: Vec::new() });
    }

    fn note(&self, problem: Problem) {
        let key = format!("{} {}", problem.path, problem.code);
        self.context.noted.borrow_mut().entry(key).or_insert(problem);
    }
}

/// Texts from outside are quoted in messages only up to a length.
fn shorten(text: &str) -> String {
    const QUOTED_MAX: usize = 60;
    let short: String = text.chars().take(QUOTED_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_MAX).is_some() { short + "…" } else { short }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty),*) => {
        $(fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
            let max = i64::try_from(<$type>::MAX).unwrap_or(i64::MAX);
            let number = self.whole_number(<$type>::MIN as i64, max)?;
            // In range, so the cast keeps the number.
            visitor.$visit(number as $type)
        })*
    };
}

impl<'n> Deserializer<'n> for Reader<'n, '_> {
    type Error = Error;

    whole_numbers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    }

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Bool(flag) => visitor.visit_bool(flag),
            _ => self.wrong("`true` or `false`"),
        }
    }

    fn deserialize_f32<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Int(number) => visitor.visit_f64(number as f64),
            Value::Float(number) => visitor.visit_f64(number),
            _ => self.wrong("a number"),
        }
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(items) => visitor.visit_seq(Items { reader: self, items: items.iter().enumerate() }),
            Value::Text(text) => {
                let mut error = Error::new(format!("expected a list, found `{}`: put `- ` before it", shorten(text)));
                error.suggestions.push(format!("[{}]", self.spelling()));
                Err(error.at(&self.path, self.place))
            }
            _ => self.wrong("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else {
            return self.wrong("a map");
        };
        let mut seen = HashSet::new();
        let mut fields = Vec::new();
        for entry in entries {
            let path = join_path(&self.path, &entry.key);
            if !seen.insert(entry.key.as_str()) {
                self.note_duplicate(entry, path);
            } else if !self.context.skipped.borrow().contains(&path) {
                fields.push((entry, path));
            }
        }
        visitor.visit_map(Fields { reader: self, fields: fields.into_iter(), value: None })
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Map(entries) = &self.node.value else {
            let wrong: Result<V::Value, Error> = self.wrong(&format!("a map with {}", list(known)));
            return wrong.map_err(|error| self.suggest_exact(error, known));
        };
        let fields = self.fields(entries, known);
        visitor.visit_map(Fields { reader: self, fields: fields.into_iter(), value: None })
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Text(text) = &self.node.value else {
            return self.wrong(&format!("one of {}", list(known)));
        };
        visitor.visit_enum(text.as_str().into_deserializer()).map_err(|error: Error| error.at(&self.path, self.place))
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

struct Items<'n, 'c> {
    reader: Reader<'n, 'c>,
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
}

impl<'n> SeqAccess<'n> for Items<'n, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        for (index, node) in self.items.by_ref() {
            let path = item_path(&self.reader.path, index);
            if self.reader.context.skipped.borrow().contains(&path) {
                continue;
            }
            let element = seed.deserialize(self.reader.child(node, node.mark(), path.clone()));
            return element.map(Some).map_err(|error| error.at(&path, node.mark()));
        }
        Ok(None)
    }
}

struct Fields<'n, 'c> {
    reader: Reader<'n, 'c>,
    fields: std::vec::IntoIter<(&'n Entry, String)>,
    value: Option<(&'n Entry, String)>,
}

impl<'n> MapAccess<'n> for Fields<'n, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.value = self.fields.next();
        let Some((entry, path)) = &self.value else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(path, entry.key_place))
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (entry, path) = self.value.take().ok_or_else(|| Error::new("value without a key".to_owned()))?;
        let place = entry.place();
        let value = seed.deserialize(self.reader.child(&entry.value, place, path.clone()));
        value.map_err(|error| error.at(&path, place))
    }
}
