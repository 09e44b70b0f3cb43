//! The templates of alerts' labels and annotations: Go's `text/template`, with the functions that Prometheus adds.

mod format;
mod functions;
mod parse;
mod render;
mod value;

pub use self::functions::url_query;
pub use self::value::Value;

use self::parse::Node;

/// Bytes of one template.
pub const TEMPLATE_BYTES_MAX: usize = 16 * 1024;
/// Bytes that one template may make.
pub const RENDERED_BYTES_MAX: usize = 64 * 1024;
/// Nodes that are walked for one text: loops within loops end here.
pub const STEPS_MAX: usize = 100_000;

/// Why a text is no template, or cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError(message.into()))
}

/// A template that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    nodes: Vec<Node>,
    defined: Vec<(String, Vec<Node>)>,
}

/// Answers the `query` of a template.
pub type Ask<'a> = dyn Fn(&str) -> Result<Value, String> + 'a;

/// What a template is filled with.
pub struct Facts<'a> {
    pub labels: Value,
    pub value: f64,
    pub external_url: &'a str,
    pub now_s: f64,
    pub query: &'a Ask<'a>,
}

impl Template {
    /// # Errors
    /// When the text is no template, or names a function or a variable that is not there.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return wrong(format!("a template may have {TEMPLATE_BYTES_MAX} bytes"));
        }
        let (nodes, defined) = parse::template(text)?;
        Ok(Self { nodes, defined })
    }

    /// # Errors
    /// When a function fails, or the text becomes too long.
    pub fn render(&self, facts: &Facts<'_>) -> Result<String, TemplateError> {
        render::render(&self.nodes, &self.defined, facts)
    }

    /// Whether anything is filled in.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.nodes.as_slice(), [] | [Node::Text(_)])
    }
}

#[cfg(test)]
mod tests;
