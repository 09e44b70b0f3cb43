//! Collects the findings about one object and gives each its place in the text.

use crate::config::ConfigObject;
use crate::finding::{Finding, Severity};

/// Findings about one object.
pub(super) struct Report<'a> {
    object: &'a ConfigObject,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    pub(super) fn new(object: &'a ConfigObject) -> Self {
        Self { object, findings: Vec::new() }
    }

    pub(super) fn error(&mut self, code: &str, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Error, code, path, message.into())
    }

    pub(super) fn warning(&mut self, code: &str, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Warning, code, path, message.into())
    }

    pub(super) fn info(&mut self, code: &str, path: &str, message: impl Into<String>) -> &mut Finding {
        self.add(Severity::Info, code, path, message.into())
    }

    pub(super) fn add(&mut self, severity: Severity, code: &str, path: &str, message: String) -> &mut Finding {
        let place = self.object.places.find(path);
        self.findings.push(Finding {
            code: code.to_owned(),
            severity,
            message,
            path: path.to_owned(),
            line: place.line,
            column: place.column,
            length: place.length,
            suggestions: Vec::new(),
        });
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// In the order of the text, the worst of one place first.
    pub(super) fn finish(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|f| (f.line, f.column, std::cmp::Reverse(f.severity)));
        self.findings
    }
}
