//! Chooses series by their labels, as Prometheus does: patterns match whole values, and no label is an empty one.

use regex::{Regex, RegexBuilder};

/// Bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 4_096;
/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchOp {
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    #[error("the pattern `{0}` is no regular expression: {1}")]
    Pattern(String, String),
    #[error("a pattern has more than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    #[error("`{0}` is no selector: {1}")]
    Selector(String, &'static str),
}

/// What is asked of one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
    pattern: Option<Regex>,
}

impl Matcher {
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, MatcherError> {
        let (name, value) = (name.into(), value.into());
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Matches | MatchOp::NotMatches if value.len() > PATTERN_BYTES_MAX => return Err(MatcherError::TooLong),
            MatchOp::Matches | MatchOp::NotMatches => {
                let built = RegexBuilder::new(&format!("^(?s:{value})$")).size_limit(COMPILED_BYTES_MAX).build();
                Some(built.map_err(|error| MatcherError::Pattern(value.clone(), error.to_string()))?)
            }
        };
        Ok(Self { name, op, value, pattern })
    }

    #[must_use]
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern: None }
    }

    /// Whether a value is what is asked for; a label that is absent is empty.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let is_match = match &self.pattern {
            Some(pattern) => pattern.is_match(value),
            None => value == self.value,
        };
        is_match == matches!(self.op, MatchOp::Equal | MatchOp::Matches)
    }
}

/// Reads a selector such as `up{job="a",instance=~"b.*"}`; it has to ask for something, as in Prometheus.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let wrong = |why| MatcherError::Selector(text.to_owned(), why);
    let trimmed = text.trim();
    let (name, rest) = trimmed.split_at(trimmed.find('{').unwrap_or(trimmed.len()));
    let name = name.trim();
    let mut matchers = Vec::new();
    if !name.is_empty() {
        if !crate::ingest::exposition::is_name(name) {
            return Err(wrong("the name of a metric has letters, digits, `_` and `:`"));
        }
        matchers.push(Matcher::equal("__name__", name));
    }
    let mut rest = rest.trim_start();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start();
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after.trim_start();
                break;
            }
            let (matcher, after) = parse_matcher(rest).map_err(|error| match error {
                Wrong::Syntax(why) => wrong(why),
                Wrong::Matcher(error) => error,
            })?;
            matchers.push(matcher);
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.starts_with('}') => {}
                None => return Err(wrong("matchers are separated by commas and end with `}`")),
            }
        }
    }
    if !rest.is_empty() {
        return Err(wrong("something follows its end"));
    }
    if matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(wrong("it has to ask for a value that is not empty"));
    }
    Ok(matchers)
}

enum Wrong {
    Syntax(&'static str),
    Matcher(MatcherError),
}

fn parse_matcher(text: &str) -> Result<(Matcher, &str), Wrong> {
    let name_end = text.find(['=', '!']).ok_or(Wrong::Syntax("a matcher has an operator"))?;
    let name = text[..name_end].trim();
    if !crate::ingest::exposition::is_name(name) {
        return Err(Wrong::Syntax("a matcher begins with the name of a label"));
    }
    let rest = &text[name_end..];
    let ops = [("=~", MatchOp::Matches), ("!~", MatchOp::NotMatches), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let found = ops.iter().find_map(|(sign, op)| Some((*op, rest.strip_prefix(sign)?)));
    let (op, rest) = found.ok_or(Wrong::Syntax("the operators are =, !=, =~ and !~"))?;
    let (value, rest) = parse_string(rest.trim_start()).ok_or(Wrong::Syntax("a value stands in quotes"))?;
    Ok((Matcher::new(name, op, value).map_err(Wrong::Matcher)?, rest))
}

/// A string in double, single or back quotes, and what follows.
fn parse_string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|quote| ['"', '\'', '`'].contains(quote))?;
    let mut value = String::new();
    let mut chars = text[1..].char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Some((value, &text[at + 2..])),
            '\\' if quote != '`' => match chars.next()?.1 {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                'r' => value.push('\r'),
                other @ ('\\' | '"' | '\'') => value.push(other),
                _ => return None,
            },
            _ => value.push(char),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(op: MatchOp, pattern: &str, value: &str) -> bool {
        Matcher::new("a", op, pattern).unwrap().matches(value)
    }

    #[test]
    fn patterns_match_whole_values() {
        assert!(matches(MatchOp::Matches, "b|c", "b") && !matches(MatchOp::Matches, "b|c", "bc"));
        assert!(matches(MatchOp::Matches, ".*", "") && matches(MatchOp::Matches, "a.c", "a\nc"));
        assert!(matches(MatchOp::NotMatches, "b.+", "b") && !matches(MatchOp::NotMatches, "b.*", "b"));
        assert!(matches(MatchOp::NotEqual, "b", "") && matches(MatchOp::Equal, "", ""));
        assert!(Matcher::new("a", MatchOp::Matches, "(").is_err());
        assert!(Matcher::new("a", MatchOp::Matches, "x".repeat(5000)).is_err());
    }

    #[test]
    fn selectors_are_read() {
        let read = |text: &str| -> Vec<(String, MatchOp, String)> {
            parse_selector(text).unwrap().into_iter().map(|m| (m.name, m.op, m.value)).collect()
        };
        let named = ("__name__".to_owned(), MatchOp::Equal, "up".to_owned());
        assert_eq!(read("up"), std::slice::from_ref(&named));
        assert_eq!(
            read(r#" up { job = "a\"}" , x!~`\d+`, } "#),
            [
                named,
                ("job".to_owned(), MatchOp::Equal, "a\"}".to_owned()),
                ("x".to_owned(), MatchOp::NotMatches, "\\d+".to_owned())
            ]
        );
        assert_eq!(read("{__name__=~'istio_.*'}").len(), 1);
        for wrong in ["", "{}", "{a=\"\"}", "up{a}", "up{a=b}", "up{a=\"b\" c=\"d\"}", "up{a=\"b\"", "up} x", "1up", "{a=~\"(\"}"]
        {
            assert!(parse_selector(wrong).is_err(), "{wrong}");
        }
    }
}
