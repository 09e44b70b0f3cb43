//! Reads and changes the configuration objects: every change is checked first, then written as revisions.

mod changes;
mod error;
mod read;
mod references;
mod rollout;

use std::collections::BTreeMap;

use sidelight_api::config::ObjectKey as ApiKey;
use sidelight_mesh::config::{Kind, MeshConfig, ObjectKey, ParsedObject, parse_documents};
use sidelight_mesh::finding::{Finding, Severity};

pub(super) use self::error::ConfigError;

use super::MeshView;
use super::view::validate;

/// Objects that a mesh may have.
pub const OBJECTS_MAX: usize = 10_000;

/// Characters of a message or an author's name; the rest is cut off.
const NOTE_CHARS_MAX: usize = 2_000;

/// Namespace of objects for which neither text nor request names one.
const DEFAULT_NAMESPACE: &str = "default";

/// Texts that were read and checked against the mesh as it would be with them.
struct Checked {
    objects: Vec<ParsedObject>,
    /// By object, places in its own document.
    findings: Vec<Vec<Finding>>,
    /// Of everything, places in the whole text.
    all: Vec<Finding>,
    /// The mesh with them.
    candidate: MeshConfig,
}

impl Checked {
    fn has_errors(&self) -> bool {
        self.all.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Refuses what has errors, and what has nothing in it.
    fn accept(self) -> Result<Self, ConfigError> {
        if self.has_errors() {
            return Err(ConfigError::Invalid(self.all));
        }
        if self.objects.is_empty() {
            return Err(ConfigError::BadRequest("the text holds no object".to_owned()));
        }
        Ok(self)
    }
}

/// Reads a text and checks each object as if all of them were saved.
fn check(view: &MeshView, text: &str, namespace: Option<&str>) -> Checked {
    let parsed = parse_documents(text, namespace.unwrap_or(DEFAULT_NAMESPACE));
    let mut candidate = view.config().clone();
    for object in &parsed.objects {
        let since = view.config().get(&object.object.key()).map_or(i64::MAX, |known| known.created_at_ms);
        candidate.insert(object.clone().into_config(since));
    }
    let by_key = validate(&candidate, view.registry());
    let mut all = parsed.findings;
    let mut findings = Vec::with_capacity(parsed.objects.len());
    for object in &parsed.objects {
        let own = by_key.get(&object.object.key()).cloned().unwrap_or_default();
        let mut shifted = own.clone();
        object.shift(&mut shifted);
        all.extend(shifted);
        findings.push(own);
    }
    Checked { objects: parsed.objects, findings, all, candidate }
}

fn api_key(key: &ObjectKey) -> ApiKey {
    ApiKey { kind: key.kind.as_str().to_owned(), namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Key out of a path, with the kind in any spelling that people use.
pub(super) fn path_key(kind: &str, namespace: String, name: String) -> Result<ObjectKey, ConfigError> {
    let kind = Kind::parse(kind).ok_or_else(|| {
        let known = Kind::ALL.map(Kind::as_str).join(", ");
        ConfigError::NotFound(format!("there is no kind `{}`; there are {known}", kind.escape_debug()))
    })?;
    Ok(ObjectKey { kind, namespace, name })
}

fn cut(text: &str) -> String {
    text.chars().take(NOTE_CHARS_MAX).collect()
}

/// How many of each severity.
fn count(findings: &[Finding]) -> BTreeMap<Severity, u32> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.severity).or_default() += 1;
    }
    counts
}
