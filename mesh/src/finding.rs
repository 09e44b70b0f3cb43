//! What a check has to say about a configuration object, and where in its text.

use serde::{Deserialize, Serialize};

/// Worst last, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// One remark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `KIAnnnn` where Kiali has a code for the same thing, `SLnnnn` for our own.
    pub code: String,
    pub severity: Severity,
    /// What is wrong and what to do, in one or two sentences.
    pub message: String,
    /// Where in the object: `spec.http[0].route[1].destination.subset`; empty for the whole object.
    pub path: String,
    /// Counts from 1 in the text that was handed in; 0 when the place is not known.
    pub line: u32,
    /// Counts from 1, in characters.
    pub column: u32,
    /// Characters to underline; 0 when not known.
    #[serde(default)]
    pub length: u32,
    /// Texts that would mend the value, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<String>,
}
