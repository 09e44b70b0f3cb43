//! Compiles a format string; what it cannot compile it refuses, with the place and the reason.

use http::HeaderName;

use super::operator::Operator;
use crate::record::Record;

/// Envoy's format when none is configured.
pub const ENVOY_DEFAULT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/// Istio's TEXT format.
pub const ISTIO_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" \
    %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \
    \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% \
    %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \
    \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% \
    %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% \
    %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/// Longest format that is compiled.
pub const FORMAT_BYTES_MAX: usize = 16 * 1024;

/// A format that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    #[error("access log format is longer than {FORMAT_BYTES_MAX} bytes")]
    TooLong,
    #[error("access log format has a `%` at byte {0} that nothing closes; a literal percent sign is `%%`")]
    Unclosed(usize),
    #[error("access log operator `{0}` is not known")]
    UnknownOperator(String),
    #[error("access log operator `{operator}` {problem}")]
    Arguments { operator: String, problem: &'static str },
}

#[derive(Clone, Debug)]
enum Piece {
    Literal(Box<str>),
    Operator(Operator),
}

/// A compiled format.
#[derive(Clone, Debug)]
pub struct Format {
    pieces: Vec<Piece>,
}

impl Format {
    /// Compiles a format. A missing newline at the end is added.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        if text.len() > FORMAT_BYTES_MAX {
            return Err(FormatError::TooLong);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(escaped) = after.strip_prefix('%') {
                literal.push('%');
                rest = escaped;
                continue;
            }
            let place = text.len() - after.len() - 1;
            let end = operator_end(after).ok_or(FormatError::Unclosed(place))?;
            push_literal(&mut pieces, &mut literal);
            pieces.push(Piece::Operator(Operator::parse(&after[..end])?));
            rest = &after[end + 1..];
        }
        literal.push_str(rest);
        if !text.ends_with('\n') {
            literal.push('\n');
        }
        push_literal(&mut pieces, &mut literal);
        Ok(Self { pieces })
    }

    /// Istio's TEXT format, compiled.
    #[must_use]
    pub fn istio() -> Self {
        Self::parse(ISTIO_TEXT).expect("the format is a constant")
    }

    /// Appends one line.
    pub fn render(&self, record: &Record, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Operator(operator) => operator.render(record, out),
            }
        }
    }

    /// Request headers that lines need.
    pub(crate) fn request_headers(&self) -> Vec<HeaderName> {
        self.operators().flat_map(Operator::request_headers).collect()
    }

    /// Response headers that lines need.
    pub(crate) fn response_headers(&self) -> Vec<HeaderName> {
        self.operators().flat_map(Operator::response_headers).collect()
    }

    fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Operator(operator) => Some(operator),
            Piece::Literal(_) => None,
        })
    }
}

/// Where the closing percent sign stands; those within parentheses belong to a time format.
fn operator_end(after: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (i, byte) in after.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'%' if depth == 0 => return Some(i),
            _ => {}
        }
    }
    None
}

fn push_literal(pieces: &mut Vec<Piece>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal).into_boxed_str()));
    }
}
