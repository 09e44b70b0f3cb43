//! Reads the Prometheus text format line by line, without copying.

use std::borrow::Cow;

/// One sample as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    pub name: &'a str,
    /// Between the braces, as written; empty without braces.
    pub labels: &'a str,
    pub value: f64,
}

/// A line that is no sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine;

/// Samples of a text, in its order; comments and empty lines are passed over.
pub fn samples(text: &str) -> impl Iterator<Item = Result<Sample<'_>, BadLine>> {
    text.split('\n').filter_map(|line| {
        let line = line.trim_matches([' ', '\t', '\r']);
        (!line.is_empty() && !line.starts_with('#')).then(|| sample(line))
    })
}

fn sample(line: &str) -> Result<Sample<'_>, BadLine> {
    let name_end = line.find(['{', ' ', '\t']).ok_or(BadLine)?;
    let (name, rest) = line.split_at(name_end);
    if !is_name(name) {
        return Err(BadLine);
    }
    let rest = rest.trim_start_matches([' ', '\t']);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => {
            let end = closing_brace(inner).ok_or(BadLine)?;
            (&inner[..end], &inner[end + 1..])
        }
        None => ("", rest),
    };
    // A time may follow the value; when the scrape happened is known better here.
    let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
    let value = words.next().and_then(value).ok_or(BadLine)?;
    let time_is_good = words.next().is_none_or(|time| time.parse::<i64>().is_ok());
    if !time_is_good || words.next().is_some() {
        return Err(BadLine);
    }
    Ok(Sample { name, labels, value })
}

fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.is_empty() && name.bytes().all(good) && !name.as_bytes()[0].is_ascii_digit()
}

/// The brace that closes the labels; braces inside quotes belong to a value.
fn closing_brace(inner: &str) -> Option<usize> {
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

fn value(word: &str) -> Option<f64> {
    match word {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust also reads "infinity" and "nan", which the format does not know.
        _ if word.bytes().any(|byte| byte.is_ascii_alphabetic() && byte != b'e' && byte != b'E') => None,
        _ => word.parse().ok(),
    }
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

#[cfg(test)]
mod tests;
