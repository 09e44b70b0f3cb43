//! The values that a template works on.

use std::collections::BTreeMap;

use super::format::number;
use super::{TemplateError, wrong};

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// An element of a query's answer.
    pub fn sample<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, value: f64) -> Self {
        let labels = Self::map(labels.map(|(name, value)| (name, Self::text(value))));
        Self::map([("Labels", labels), ("Value", Self::Float(value))])
    }

    /// What `if` and `with` go by.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// A map without the key has an empty text there, as Prometheus' option `missingkey=zero` says.
    pub fn field(&self, name: &str) -> Result<Self, TemplateError> {
        match self {
            Self::Map(map) => Ok(map.get(name).cloned().unwrap_or_else(|| Self::text(""))),
            Self::Nil => wrong(format!("nil has no field {name}")),
            other => wrong(format!("can't evaluate field {name} in {}", other.kind())),
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// As the functions for numbers take them: texts are read.
    pub fn float(&self) -> Result<f64, TemplateError> {
        match self {
            Self::Float(value) => Ok(*value),
            Self::Int(value) => Ok(*value as f64),
            Self::Text(text) => match text.parse() {
                Ok(value) => Ok(value),
                Err(_) => wrong(format!("`{text}` is no number")),
            },
            other => wrong(format!("{} is no number", other.kind())),
        }
    }

    pub fn as_text(&self) -> Result<&str, TemplateError> {
        match self {
            Self::Text(text) => Ok(text),
            other => wrong(format!("a string was expected, not {}", other.kind())),
        }
    }
}

/// As Go's `%v` writes it.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nil => f.write_str("<no value>"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => f.write_str(&number(*value)),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if place > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("map[")?;
                for (place, (key, value)) in map.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if place > 0 { " " } else { "" })?;
                }
                f.write_str("]")
            }
        }
    }
}
