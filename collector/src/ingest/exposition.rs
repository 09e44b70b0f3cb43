//! Reads the Prometheus text format and OpenMetrics line by line, without copying.

mod label;
mod line;

pub use label::{is_name, labels, split_le};
pub use line::{Exemplar, Meta, Sample, Tail, sample, tail};

/// A line that is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine;

/// How a text is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Version 0.0.4: times in milliseconds.
    #[default]
    Text,
    /// Version 1.0: times in seconds, exemplars, and an end that says so.
    OpenMetrics,
}

impl Format {
    /// By the content type of an answer; whoever says nothing speaks the text format.
    #[must_use]
    pub fn of(content_type: &str) -> Self {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind.eq_ignore_ascii_case("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }
}

/// What a target is told that we read, best first.
pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A line of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    /// Should be a sample; [`sample`] reads it.
    Sample(&'a str),
    Meta(Meta<'a>),
    /// OpenMetrics ends with it; what follows is none.
    End,
}

/// Lines of a text in its order; comments and empty lines are passed over.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.split('\n').filter_map(|line| {
        let line = line.trim_matches([' ', '\t', '\r']);
        match line.strip_prefix('#') {
            Some(" EOF") => Some(Line::End),
            Some(comment) => Meta::read(comment).map(Line::Meta),
            None if line.is_empty() => None,
            None => Some(Line::Sample(line)),
        }
    })
}

/// Whether a text is whole: OpenMetrics says where it ends, so that one that was cut off is not taken for it.
#[must_use]
pub fn is_whole(text: &str, format: Format) -> bool {
    format == Format::Text || text.trim_end_matches('\n').rsplit('\n').next() == Some("# EOF")
}

/// Samples of a text, in its order.
pub fn samples(text: &str, format: Format) -> impl Iterator<Item = Result<Sample<'_>, BadLine>> {
    lines(text).take_while(|line| *line != Line::End).filter_map(move |line| match line {
        Line::Sample(line) => Some(sample(line, format)),
        Line::Meta(_) | Line::End => None,
    })
}

#[cfg(test)]
mod tests;
