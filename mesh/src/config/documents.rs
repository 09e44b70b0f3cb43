//! Reads YAML texts with any number of objects, and tells everything that is wrong with their shape.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::decode::{Problem, decode};
use super::tree::{self, Entry, Node, Value};
use super::{ConfigObject, Kind, Metadata, Object, Place, Places, Spec};
use crate::codes;
use crate::finding::{Finding, Severity};
use crate::nearest::nearest;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Findings of one text that are listed.
pub const FINDINGS_MAX: usize = 200;

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The documents whose shape is right, in order.
    pub objects: Vec<ParsedObject>,
    /// Places are those of the whole text.
    pub findings: Vec<Finding>,
}

/// One object and the part of the text that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedObject {
    pub object: Object,
    /// Its document exactly as written, comments included.
    pub text: String,
    /// Line of the whole text at which `text` begins, counted from 1.
    pub first_line: u32,
    /// Places in `text`.
    pub places: Places,
}

impl ParsedObject {
    /// The object to be stored.
    #[must_use]
    pub fn into_config(self, created_at_ms: i64) -> ConfigObject {
        ConfigObject { object: self.object, text: self.text.into(), places: self.places, created_at_ms }
    }

    /// Moves findings about this object to their places in the whole text.
    pub fn shift(&self, findings: &mut [Finding]) {
        for finding in findings.iter_mut().filter(|f| f.line > 0) {
            finding.line = finding.line.saturating_add(self.first_line - 1);
        }
    }
}

/// Reads all documents of a text. Never panics, whatever the text.
#[must_use]
pub fn parse_documents(text: &str, default_namespace: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the text has {} bytes, at most {TEXT_BYTES_MAX} are read; split it", text.len());
        parsed.findings.push(error(codes::TOO_LARGE, message));
        return parsed;
    }
    let mut keys = HashSet::new();
    for document in split(text) {
        let mut problems = Vec::new();
        if let Some(parsed_object) = read_document(&document, default_namespace, &mut problems) {
            let key = parsed_object.object.key();
            if !keys.insert(key.clone()) {
                problems.push(duplicate(&key.to_string(), &parsed_object.places));
            }
            parsed.objects.push(parsed_object);
        }
        problems.sort_by_key(|problem| (problem.place.line, problem.place.column));
        parsed.findings.extend(problems.into_iter().map(|problem| finding(problem, document.first_line)));
    }
    limit(&mut parsed.findings);
    parsed
}

struct Document<'t> {
    text: &'t str,
    first_line: u32,
}

/// Cuts a text at its `---` and `...` lines. Nothing inside a document can look like them, so no parser is needed,
/// and an error in one document leaves the others readable.
fn split(text: &str) -> Vec<Document<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let (mut offset, mut line_number) = (0, 1);
    for line in text.split_inclusive('\n') {
        let next = offset + line.len();
        if let Some(behind) = marker(line) {
            documents.push(Document { text: &text[start..offset], first_line });
            let blank = behind.is_empty() || behind.starts_with('#');
            // A document that begins on the marker's own line keeps the marker, so that its columns stay true.
            (start, first_line) = if blank { (next, line_number + 1) } else { (offset, line_number) };
        }
        offset = next;
        line_number += 1;
    }
    documents.push(Document { text: &text[start..], first_line });
    documents.retain(|document| !document.text.lines().all(is_blank));
    documents
}

/// What stands behind the marker of a marker line.
fn marker(line: &str) -> Option<&str> {
    let behind = line.strip_prefix("---").or_else(|| line.strip_prefix("..."))?;
    (behind.is_empty() || behind.starts_with(char::is_whitespace)).then(|| behind.trim())
}

fn is_blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#') || line.starts_with("%YAML")
}

fn read_document(document: &Document<'_>, default_namespace: &str, problems: &mut Vec<Problem>) -> Option<ParsedObject> {
    let root = match tree::parse(document.text) {
        Ok(root) => root,
        Err(syntax) => {
            problems.push(syntax_problem(&syntax));
            return None;
        }
    };
    let Value::Map(entries) = &root.value else {
        problems.push(problem(
            codes::WRONG_VALUE,
            "",
            root.place,
            "expected an object with `apiVersion`, `kind`, `metadata` and `spec`",
        ));
        return None;
    };
    let reader = ObjectReader { root: &root, text: document.text, problems };
    let object = reader.read(entries, default_namespace)?;
    Some(ParsedObject { object, text: document.text.to_owned(), first_line: document.first_line, places: root.places() })
}

struct ObjectReader<'n, 'p> {
    root: &'n Node,
    text: &'n str,
    problems: &'p mut Vec<Problem>,
}

const TOP_LEVEL: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];

impl<'n> ObjectReader<'n, '_> {
    fn read(mut self, entries: &'n [Entry], default_namespace: &str) -> Option<Object> {
        let before = self.problems.len();
        self.check_top_level(entries);
        let api_version = self.text_of("apiVersion");
        let kind = self.kind();
        if let (Some(version), Some(kind)) = (&api_version, kind) {
            self.check_version(version, kind);
        }
        let metadata = self.metadata(default_namespace);
        let spec = kind.and_then(|kind| self.spec(kind));
        if self.problems.len() > before {
            return None;
        }
        Some(Object { api_version: api_version?, metadata: metadata?, spec: spec? })
    }

    fn check_top_level(&mut self, entries: &[Entry]) {
        let mut seen = HashSet::new();
        for entry in entries {
            let key = entry.key.as_str();
            if !TOP_LEVEL.contains(&key) {
                let suggestions = nearest(key, TOP_LEVEL);
                let message = match suggestions.first() {
                    Some(best) => format!("unknown field `{}`; did you mean `{best}`?", key.escape_debug()),
                    None => format!("unknown field `{}`; it may belong under `spec`", key.escape_debug()),
                };
                let unknown = problem(codes::UNKNOWN_FIELD, key, entry.key_place, &message);
                self.problems.push(Problem { suggestions, ..unknown });
            } else if !seen.insert(key) {
                let message = format!("`{key}` is here for the second time; keep one, or separate objects with `---`");
                self.problems.push(problem(codes::DUPLICATE_KEY, key, entry.key_place, &message));
            }
        }
    }

    /// A text that must be there.
    fn text_of(&mut self, key: &'static str) -> Option<String> {
        match self.root.get(key) {
            None => {
                let message = format!("`{key}` is missing");
                self.problems.push(problem(codes::MISSING, key, self.root.place, &message));
                None
            }
            Some(node) => decode(node, node.place, key, self.text, self.problems),
        }
    }

    fn kind(&mut self) -> Option<Kind> {
        let word = self.text_of("kind")?;
        let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == word);
        if known.is_none() {
            let names = Kind::ALL.map(Kind::as_str);
            let suggestions = match Kind::parse(&word) {
                Some(kind) => vec![kind.as_str().to_owned()],
                None => nearest(&word, names),
            };
            let message = format!("kind `{}` is not supported; supported are {}", word.escape_debug(), names.join(", "));
            let unsupported = problem(codes::UNSUPPORTED_KIND, "kind", self.place_of("kind"), &message);
            self.problems.push(Problem { suggestions, ..unsupported });
        }
        known
    }

    fn check_version(&mut self, version: &str, kind: Kind) {
        let known = kind.api_versions();
        if !known.contains(&version) {
            let message = format!("a {kind} has apiVersion `{}`, not `{}`", known[0], version.escape_debug());
            let unsupported = problem(codes::UNSUPPORTED_KIND, "apiVersion", self.place_of("apiVersion"), &message);
            self.problems.push(Problem { suggestions: vec![known[0].to_owned()], ..unsupported });
        }
    }

    fn metadata(&mut self, default_namespace: &str) -> Option<Metadata> {
        let Some(entry) = self.root.entry("metadata") else {
            self.problems.push(problem(codes::MISSING, "metadata", self.root.place, "`metadata` with a `name` is missing"));
            return None;
        };
        let raw: RawMetadata = decode(&entry.value, entry.place(), "metadata", self.text, self.problems)?;
        if raw.name.is_empty() {
            let place = self.place_of("metadata");
            self.problems.push(problem(codes::MISSING, "metadata.name", place, "`metadata.name` is missing"));
            return None;
        }
        let namespace = if raw.namespace.is_empty() { default_namespace.to_owned() } else { raw.namespace };
        Some(Metadata { name: raw.name, namespace, labels: raw.labels, annotations: raw.annotations })
    }

    fn spec(&mut self, kind: Kind) -> Option<Spec> {
        match kind {
            Kind::VirtualService => self.decode_spec().map(Spec::VirtualService),
            Kind::DestinationRule => self.decode_spec().map(Spec::DestinationRule),
            Kind::Gateway => self.decode_spec().map(Spec::Gateway),
            Kind::Service => self.decode_spec().map(Spec::Service),
        }
    }

    fn decode_spec<T: Deserialize<'n>>(&mut self) -> Option<T> {
        let Some(entry) = self.root.entry("spec") else {
            self.problems.push(problem(codes::MISSING, "spec", self.root.place, "`spec` is missing"));
            return None;
        };
        decode(&entry.value, entry.place(), "spec", self.text, self.problems)
    }

    fn place_of(&self, key: &str) -> Place {
        self.root.entry(key).map_or(self.root.place, Entry::place)
    }
}

/// `metadata` of any object; what a cluster adds by itself is read over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RawMetadata {
    name: String,
    namespace: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    #[serde(rename = "uid")]
    _uid: IgnoredAny,
    #[serde(rename = "resourceVersion")]
    _resource_version: IgnoredAny,
    #[serde(rename = "generation")]
    _generation: IgnoredAny,
    #[serde(rename = "creationTimestamp")]
    _creation_timestamp: IgnoredAny,
    #[serde(rename = "managedFields")]
    _managed_fields: IgnoredAny,
    #[serde(rename = "ownerReferences")]
    _owner_references: IgnoredAny,
    #[serde(rename = "finalizers")]
    _finalizers: IgnoredAny,
    #[serde(rename = "selfLink")]
    _self_link: IgnoredAny,
}

fn syntax_problem(syntax: &tree::SyntaxError) -> Problem {
    let hint = if syntax.message.contains("mapping values are not allowed") {
        "; check the indentation, or put quotes around a text that contains `: `"
    } else if syntax.message.contains('\t') || syntax.message.contains("tab") {
        "; indent with spaces"
    } else {
        ""
    };
    let message = format!("this is no valid YAML: {}{hint}", syntax.message);
    problem(codes::SYNTAX, "", syntax.place, &message)
}

fn duplicate(name: &str, places: &Places) -> Problem {
    let message = format!("{name} is in this text for the second time; keep one");
    problem(codes::DUPLICATE_OBJECT, "metadata.name", places.find("metadata.name"), &message)
}

fn problem(code: &'static str, path: &str, place: Place, message: &str) -> Problem {
    Problem { code, path: path.to_owned(), place, message: message.to_owned(), suggestions: Vec::new() }
}

fn finding(problem: Problem, first_line: u32) -> Finding {
    let line = problem.place.line.max(1).saturating_add(first_line - 1);
    Finding {
        line,
        column: problem.place.column.max(1),
        length: problem.place.length,
        path: problem.path,
        suggestions: problem.suggestions,
        ..error(problem.code, problem.message)
    }
}

fn error(code: &str, message: String) -> Finding {
    Finding {
        code: code.to_owned(),
        severity: Severity::Error,
        message,
        path: String::new(),
        line: 0,
        column: 0,
        length: 0,
        suggestions: Vec::new(),
    }
}

fn limit(findings: &mut Vec<Finding>) {
    if findings.len() > FINDINGS_MAX {
        let left_out = findings.len() - FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        findings.push(error(codes::TOO_LARGE, format!("{left_out} more errors are not listed")));
    }
}

#[cfg(test)]
mod tests;
