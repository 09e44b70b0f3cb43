//! Labels as they stand between braces.

use std::borrow::Cow;

use super::BadLine;
use super::line::value;

/// A name of a metric; those of labels are some of them.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.is_empty() && name.bytes().all(good) && !name.as_bytes()[0].is_ascii_digit()
}

/// The brace that closes the labels; braces inside quotes belong to a value.
pub(super) fn closing_brace(inner: &str) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(index),
            _ => {}
        }
    }
    None
}

/// Names and values of a sample's labels, in their order.
pub fn labels(mut block: &str) -> impl Iterator<Item = Result<(&str, Cow<'_, str>), BadLine>> {
    let mut failed = false;
    std::iter::from_fn(move || {
        block = block.trim_start_matches([' ', '\t', ',']);
        if block.is_empty() || failed {
            return None;
        }
        let label = label(block);
        match label {
            Ok((name, value, rest)) => {
                block = rest;
                Some(Ok((name, value)))
            }
            Err(bad) => {
                failed = true;
                Some(Err(bad))
            }
        }
    })
}

fn label(block: &str) -> Result<(&str, Cow<'_, str>, &str), BadLine> {
    let (name, rest) = block.split_once('=').ok_or(BadLine)?;
    let name = name.trim_end_matches([' ', '\t']);
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix('"').ok_or(BadLine)?;
    if !is_name(name) {
        return Err(BadLine);
    }
    let end = closing_quote(rest).ok_or(BadLine)?;
    let after = rest[end + 1..].trim_start_matches([' ', '\t']);
    if !after.is_empty() && !after.starts_with(',') {
        return Err(BadLine);
    }
    Ok((name, unescape(&rest[..end]), after))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match (char, char == '\\') {
            (_, false) => out.push(char),
            _ => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other @ ('\\' | '"')) => out.push(other),
                // As Prometheus does: an unknown escape stays as it is.
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
        }
    }
    Cow::Owned(out)
}

/// Takes the label `le` of a bucket out of its block: what is left, and the bound. Proxies write `le` last.
#[must_use]
pub fn split_le(block: &str) -> Option<(Cow<'_, str>, f64)> {
    if let Some(at) = block.rfind("le=\"") {
        let quoted = &block[at + 4..];
        let alone = at == 0 || block.as_bytes()[at - 1] == b',';
        if let Some(bound) = quoted.strip_suffix('"').filter(|bound| alone && !bound.contains(['"', '\\'])) {
            let rest = block[..at].strip_suffix(',').unwrap_or(&block[..at]);
            return Some((Cow::Borrowed(rest), value(bound)?));
        }
    }
    split_le_anywhere(block)
}

fn split_le_anywhere(block: &str) -> Option<(Cow<'_, str>, f64)> {
    let mut bound = None;
    let mut rest: Vec<String> = Vec::new();
    for pair in labels(block) {
        let (name, text) = pair.ok()?;
        if name == "le" {
            bound = Some(value(&text)?);
        } else {
            rest.push(format!("{name}=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")));
        }
    }
    Some((Cow::Owned(rest.join(",")), bound?))
}
