//! Reads and changes the configuration objects: every change is checked first, then written as revisions.

mod changes;
mod error;
mod read;
mod rollout;

use std::collections::BTreeMap;

use sidelight_api::config::ObjectKey as ApiKey;
use sidelight_mesh::config::{Kind, ObjectKey};
use sidelight_mesh::finding::{Finding, Severity};
use sidelight_mesh::validate::{TextReport, validate_text};

pub(super) use self::error::ConfigError;

use super::MeshView;

/// Objects that a mesh may have.
pub const OBJECTS_MAX: usize = 10_000;

/// Characters of a message or an author's name; the rest is cut off.
const NOTE_CHARS_MAX: usize = 2_000;

/// Namespace of objects for which neither text nor request names one.
const DEFAULT_NAMESPACE: &str = "default";

/// Checks a text as if all its objects were saved.
fn check(view: &MeshView, text: &str, namespace: Option<&str>) -> TextReport {
    validate_text(text, namespace.unwrap_or(DEFAULT_NAMESPACE), view.config(), view.registry())
}

/// Refuses what has errors, and what has nothing in it.
fn accept(report: TextReport) -> Result<TextReport, ConfigError> {
    if report.has_errors() {
        return Err(ConfigError::Invalid(report.findings));
    }
    if report.objects.is_empty() {
        return Err(ConfigError::BadRequest("the text holds no object".to_owned()));
    }
    Ok(report)
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
