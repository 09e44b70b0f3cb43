//! Labels of series: what a point says of itself, under what its scope and its resource say.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};

use super::attribute;
use super::names::label_name;
use crate::ingest::door::{ENTRIES_MAX, Reason, VALUE_BYTES_MAX};
use crate::store::sample::NAME;

/// The reason that [`crate::pipeline::SamplePush`] gives as well.
const LABEL_LIMIT: Reason = "label_limit";

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
    ///
    /// # Errors
    /// When they are too many or too long: they are put to their places one by one, and once for each point.
    pub fn and(&self, attributes: &[KeyValue]) -> Result<Self, Reason> {
        if attributes.len() > ENTRIES_MAX {
            return Err(LABEL_LIMIT);
        }
        let mut attributes: Vec<&KeyValue> = attributes.iter().collect();
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        let mut own: Vec<(String, String)> = Vec::with_capacity(attributes.len());
        for attribute in attributes {
            let (name, value) = (label_name(&attribute.key), bounded(text(attribute.value.as_ref()))?);
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
        Ok(labels)
    }

    /// Lends all labels, the metric's name among them, and one more where a point has several series.
    pub fn with_name(&self, name: &str, own: Option<(&str, &str)>, work: impl FnOnce(&[(&str, &str)])) {
        let mut all: Vec<(&str, &str)> = Vec::with_capacity(self.0.len() + 2);
        all.extend(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        for (label, value) in own.into_iter().chain([(NAME, name)]) {
            match all.binary_search_by(|(known, _)| (*known).cmp(label)) {
                Ok(at) => all[at].1 = value,
                Err(at) => all.insert(at, (label, value)),
            }
        }
        work(&all);
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn set(&mut self, name: String, value: String) {
        match self.0.binary_search_by(|(known, _)| known.as_str().cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }
}

impl Target {
    /// # Errors
    /// When a name is too long.
    pub fn of(attributes: &[KeyValue]) -> Result<Self, Reason> {
        let value = |key| attribute(attributes, key).map(|attribute| text(attribute.value.as_ref())).unwrap_or_default();
        let (service, namespace) = (value(SERVICE), value(NAMESPACE));
        let job = if namespace.is_empty() || service.is_empty() { service } else { format!("{namespace}/{service}") };
        Ok(Self { job: bounded(job)?, instance: bounded(value(INSTANCE))? })
    }

    /// What all points of a scope have.
    ///
    /// # Errors
    /// When a name is too long.
    pub fn labels(&self, scope: InstrumentationScope) -> Result<Labels, Reason> {
        let mut labels = self.identity();
        for (name, value) in [("otel_scope_name", scope.name), ("otel_scope_version", scope.version)] {
            if !value.is_empty() {
                labels.set(name.to_owned(), bounded(value)?);
            }
        }
        Ok(labels)
    }

    /// Labels of `target_info`; none when the resource says no more than who it is, or not even that.
    #[must_use]
    pub fn info(&self, attributes: &[KeyValue]) -> Option<Result<Labels, Reason>> {
        let identity = self.identity();
        let identifying = [SERVICE, NAMESPACE, INSTANCE];
        let others = attributes.iter().filter(|attribute| !identifying.contains(&attribute.key.as_str()));
        let others: Vec<KeyValue> = others.cloned().collect();
        if others.is_empty() || identity.0.is_empty() {
            return None;
        }
        // Who it is stands above what it says of itself.
        Some(Labels::default().and(&others).map(|mut labels| {
            identity.0.into_iter().for_each(|(name, value)| labels.set(name, value));
            labels
        }))
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

fn bounded(text: String) -> Result<String, Reason> {
    if text.len() > VALUE_BYTES_MAX { Err(LABEL_LIMIT) } else { Ok(text) }
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
