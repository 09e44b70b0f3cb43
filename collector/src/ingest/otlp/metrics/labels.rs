//! Labels of series: what a point says of itself, under what its scope and its resource say.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};

use super::attribute;
use super::names::label_name;
use crate::store::sample::NAME;

/// Names of the attributes that become `job` and `instance`.
const SERVICE: &str = "service.name";
const NAMESPACE: &str = "service.namespace";
const INSTANCE: &str = "service.instance.id";

/// Sorted by name, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(String, String)>);

/// Who sent a metric, as Prometheus names it.
pub struct Target {
    job: String,
    instance: String,
}

impl Labels {
    /// With the attributes of a point. Those whose keys become the same name stand together in one value.
    #[must_use]
    pub fn and(&self, attributes: &[KeyValue]) -> Self {
        let mut attributes: Vec<&KeyValue> = attributes.iter().collect();
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut own: Vec<(String, String)> = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            let (name, value) = (label_name(&attribute.key), text(attribute.value.as_ref()));
            match own.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => {
                    values.push(';');
                    values.push_str(&value);
                }
                None => own.push((name, value)),
            }
        }
        let mut labels = self.clone();
        own.into_iter().for_each(|(name, value)| labels.set(name, value));
        labels
    }

    #[must_use]
    pub fn and_one(&self, name: &str, value: &str) -> Self {
        let mut labels = self.clone();
        labels.set(name.to_owned(), value.to_owned());
        labels
    }

    /// Lends all labels, the metric's name among them.
    pub fn with_name(&self, name: &str, work: impl FnOnce(&[(&str, &str)])) {
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(self.0.len() + 1);
        all.extend(self.0.iter().filter(|(label, _)| label != NAME).map(|(name, value)| (name.as_str(), value.as_str())));
        let at = all.partition_point(|(label, _)| *label < NAME);
        all.insert(at, (NAME, name));
        work(&all);
    }

    fn set(&mut self, name: String, value: String) {
        match self.0.binary_search_by(|(known, _)| known.as_str().cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }
}

impl Target {
    #[must_use]
    pub fn of(attributes: &[KeyValue]) -> Self {
        let value = |key| attribute(attributes, key).map(|attribute| text(attribute.value.as_ref())).unwrap_or_default();
        let (service, namespace) = (value(SERVICE), value(NAMESPACE));
        let job = if namespace.is_empty() || service.is_empty() { service } else { format!("{namespace}/{service}") };
        Self { job, instance: value(INSTANCE) }
    }

    /// What all points of a scope have.
    #[must_use]
    pub fn labels(&self, scope: Option<&InstrumentationScope>) -> Labels {
        let mut labels = self.identity();
        if let Some(scope) = scope {
            for (name, value) in [("otel_scope_name", &scope.name), ("otel_scope_version", &scope.version)] {
                if !value.is_empty() {
                    labels.set(name.to_owned(), value.clone());
                }
            }
        }
        labels
    }

    /// Labels of `target_info`; none when the resource says no more than who it is, or not even that.
    #[must_use]
    pub fn info(&self, attributes: &[KeyValue]) -> Option<Labels> {
        let identity = self.identity();
        let identifying = [SERVICE, NAMESPACE, INSTANCE];
        let others = attributes.iter().filter(|attribute| !identifying.contains(&attribute.key.as_str()));
        let others: Vec<KeyValue> = others.cloned().collect();
        if others.is_empty() || identity.0.is_empty() {
            return None;
        }
        // Who it is stands above what it says of itself.
        let mut labels = Labels::default().and(&others);
        identity.0.into_iter().for_each(|(name, value)| labels.set(name, value));
        Some(labels)
    }

    fn identity(&self) -> Labels {
        let mut labels = Labels::default();
        for (name, value) in [("job", &self.job), ("instance", &self.instance)] {
            if !value.is_empty() {
                labels.set(name.to_owned(), value.clone());
            }
        }
        labels
    }
}

/// The text of a value; lists and maps as JSON.
fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BytesValue(bytes)) => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(bytes)
        }
        Some(other) => serde_json::to_string(other).unwrap_or_default(),
        None => String::new(),
    }
}
