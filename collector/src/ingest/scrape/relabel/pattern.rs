//! Regular expressions as Prometheus writes them (Go's syntax), matched against whole values, and their templates.
//!
//! The two engines agree on most of RE2. Where they do not, the text is rewritten: in Go `\d`, `\w`, `\s` and `\b` know
//! ASCII only, `{` may stand for itself, `\<` is a `<`, and a class has neither classes nor set operations inside.

use regex::bytes::{Captures, Regex};

/// Bytes of one pattern; Prometheus' own longest known are a few hundred.
pub const PATTERN_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("the regular expression is longer than {PATTERN_BYTES_MAX} bytes")]
    TooLong,
    #[error("`{0}` means nothing in a regular expression")]
    Escape(String),
    #[error("`{0}` is not closed in the regular expression")]
    Unclosed(char),
    #[error("a range in a class of the regular expression has no single characters as its ends")]
    Range,
    #[error("{0}")]
    Syntax(String),
}

/// Anchored at both ends.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

/// What a pattern found in a value.
pub struct Match<'v>(Captures<'v>);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    pub fn new(source: &str) -> Result<Self, PatternError> {
        if source.len() > PATTERN_BYTES_MAX {
            return Err(PatternError::TooLong);
        }
        let translated = Translation::of(source)?;
        let regex = Regex::new(&format!("^(?:{translated})$")).map_err(|error| {
            let text = error.to_string();
            PatternError::Syntax(text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
        })?;
        Ok(Self { source: source.to_owned(), regex })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    #[must_use]
    pub fn is_match(&self, value: &str) -> bool {
        self.regex.is_match(value.as_bytes())
    }

    #[must_use]
    pub fn find<'v>(&self, value: &'v str) -> Option<Match<'v>> {
        self.regex.captures(value.as_bytes()).map(Match)
    }
}

impl Match<'_> {
    /// Puts groups into a template: `$1`, `${1}`, `$name`, `${name}`, `$$`. A group that is not there is empty, a `$`
    /// that begins none of these stands for itself.
    #[must_use]
    pub fn expand(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some((name, after)) = group_name(rest) {
                out.push_str(self.group(name));
                rest = after;
            } else {
                out.push('$');
            }
        }
        out.push_str(rest);
        out
    }

    fn group(&self, name: &str) -> &str {
        let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
        let found = if is_number { name.parse().ok().and_then(|index| self.0.get(index)) } else { self.0.name(name) };
        // Every part of a pattern takes whole characters, so groups begin and end between two.
        found.and_then(|found| std::str::from_utf8(found.as_bytes()).ok()).unwrap_or("")
    }
}

/// The name behind a `$` and what follows it.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let (is_braced, text) = text.strip_prefix('{').map_or((false, text), |text| (true, text));
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    if is_braced { rest.strip_prefix('}').map(|rest| (name, rest)) } else { Some((name, rest)) }
}

/// Rewrites Go's syntax to this crate's.
struct Translation<'s> {
    rest: &'s str,
    out: String,
}

/// A single character, or a set of them.
enum Item {
    One(String),
    Set(String),
}

impl<'s> Translation<'s> {
    fn of(source: &'s str) -> Result<String, PatternError> {
        let mut translation = Self { rest: source, out: String::with_capacity(source.len() + 16) };
        while let Some(c) = translation.next() {
            translation.take(c)?;
        }
        Ok(translation.out)
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn take(&mut self, c: char) -> Result<(), PatternError> {
        match c {
            '\\' => self.take_escape(),
            '[' => self.take_class(),
            '{' if repetition(self.rest) => {
                self.out.push('{');
                Ok(())
            }
            '{' => {
                self.out.push_str(r"\{");
                Ok(())
            }
            '(' if self.rest.starts_with('?') => self.take_group(),
            c => {
                self.out.push(c);
                Ok(())
            }
        }
    }

    fn take_escape(&mut self) -> Result<(), PatternError> {
        let c = self.next().ok_or(PatternError::Escape("\\".to_owned()))?;
        match c {
            'd' => self.out.push_str("(?-i:[0-9])"),
            'D' => self.out.push_str("(?-i:[^0-9])"),
            's' => self.out.push_str(r"[\t\n\x0C\r\x20]"),
            'S' => self.out.push_str(r"[^\t\n\x0C\r\x20]"),
            'w' => self.out.push_str("(?-i:[0-9A-Za-z_])"),
            'W' => self.out.push_str("(?-i:[^0-9A-Za-z_])"),
            'b' => self.out.push_str(r"(?-u:\b)"),
            'B' => self.out.push_str(r"(?-u:\B)"),
            'A' | 'z' => self.out.extend(['\\', c]),
            'Q' => {
                let (literal, rest) = self.rest.split_once(r"\E").unwrap_or((self.rest, ""));
                self.out.push_str(&regex::escape(literal));
                self.rest = rest;
            }
            c => match self.item_behind_backslash(c)? {
                Item::One(text) | Item::Set(text) => self.out.push_str(&text),
            },
        }
        Ok(())
    }

    /// Escapes that mean the same inside and outside a class.
    fn item_behind_backslash(&mut self, c: char) -> Result<Item, PatternError> {
        match c {
            'a' | 'f' | 't' | 'n' | 'r' | 'v' => Ok(Item::One(format!("\\{c}"))),
            'x' => Ok(Item::One(format!("\\x{}", self.braced_or(2)?))),
            'p' | 'P' => Ok(Item::Set(format!("\\{c}{}", self.braced_or(1)?))),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(Item::One(literal(c))),
            c => Err(PatternError::Escape(format!("\\{c}"))),
        }
    }

    /// `{…}`, or so many characters.
    fn braced_or(&mut self, count: usize) -> Result<&'s str, PatternError> {
        let length = if self.rest.starts_with('{') {
            self.rest.find('}').ok_or(PatternError::Unclosed('{'))? + 1
        } else {
            self.rest.char_indices().nth(count).map_or(self.rest.len(), |(at, _)| at)
        };
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(taken)
    }

    fn take_group(&mut self) -> Result<(), PatternError> {
        self.out.push('(');
        if self.rest.starts_with("?P<") || self.rest.starts_with("?<") {
            return Ok(());
        }
        let flags = &self.rest[1..];
        let end = flags.find([':', ')']).ok_or(PatternError::Unclosed('('))?;
        if let Some(wrong) = flags[..end].chars().find(|c| !"imsU-".contains(*c)) {
            return Err(PatternError::Escape(format!("(?{wrong}")));
        }
        self.out.push_str(&self.rest[..=end]);
        self.rest = &self.rest[end + 1..];
        Ok(())
    }

    fn take_class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.out.push('^');
            self.rest = rest;
        }
        let mut is_first = true;
        loop {
            if !is_first && let Some(rest) = self.rest.strip_prefix(']') {
                self.out.push(']');
                self.rest = rest;
                return Ok(());
            }
            is_first = false;
            let low = self.class_item()?;
            let is_range = self.rest.starts_with('-') && !self.rest.starts_with("-]");
            match low {
                Item::One(low) if is_range => {
                    self.rest = &self.rest[1..];
                    let Item::One(high) = self.class_item()? else { return Err(PatternError::Range) };
                    self.out.push_str(&format!("{low}-{high}"));
                }
                Item::One(text) | Item::Set(text) => self.out.push_str(&text),
            }
        }
    }

    fn class_item(&mut self) -> Result<Item, PatternError> {
        if self.rest.starts_with("[:")
            && let Some(end) = self.rest.find(":]")
        {
            let (taken, rest) = self.rest.split_at(end + 2);
            self.rest = rest;
            return Ok(Item::Set(taken.to_owned()));
        }
        match self.next().ok_or(PatternError::Unclosed('['))? {
            '\\' => {
                let c = self.next().ok_or(PatternError::Unclosed('['))?;
                let set = |text: &str| Ok(Item::Set(text.to_owned()));
                match c {
                    'd' => set("0-9"),
                    'D' => set("[^0-9]"),
                    's' => set(r"\t\n\x0C\r\x20"),
                    'S' => set(r"[^\t\n\x0C\r\x20]"),
                    'w' => set("0-9A-Za-z_"),
                    'W' => set("[^0-9A-Za-z_]"),
                    c => self.item_behind_backslash(c),
                }
            }
            c => Ok(Item::One(literal(c))),
        }
    }
}

/// Punctuation is escaped wherever this crate lets it be: it never means anything then.
fn literal(c: char) -> String {
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') { format!("\\{c}") } else { c.to_string() }
}

/// Whether `{` is followed by `n}`, `n,}` or `n,m}`.
fn repetition(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match inside.split_once(',') {
        None => is_number(inside),
        Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(pattern: &str, value: &str, template: &str) -> Option<String> {
        Some(Pattern::new(pattern).unwrap().find(value)?.expand(template))
    }

    #[test]
    fn patterns_match_whole_values() {
        assert_eq!(expanded("a", "ab", "$0"), None);
        assert_eq!(expanded("a|b.", "bc", "$0").as_deref(), Some("bc"));
        assert_eq!(expanded("(.*)", "x\ny", "$1"), None);
        assert_eq!(expanded("(?s)(.*)", "x\ny", "$1").as_deref(), Some("x\ny"));
    }

    #[test]
    fn templates_are_gos() {
        let fill = |template| expanded("(?P<host>[^:]+):(\\d+)", "h:80", template).unwrap();
        assert_eq!(fill("$1-$2"), "h-80");
        assert_eq!(fill("${host}_${2}x"), "h_80x");
        assert_eq!(fill("$2x|$9|$$1|$|$-|${1|$01|$0"), "||$1|$|$-|${1||h:80");
    }

    #[test]
    fn gos_spelling_is_understood() {
        for (pattern, value, matches) in [
            (r"\d+", "12", true),
            (r"\d+", "١٢", false),
            (r"\w", "é", false),
            (r"[\W]", "é", true),
            (r"a{", "a{", true),
            (r"a{,2}", "a{,2}", true),
            (r"a{1,2}", "aa", true),
            (r"\<x\>", "<x>", true),
            (r"[a[b]+", "a[b", true),
            (r"[[:alpha:]_]+", "ab_", true),
            (r"[]a]+", "]a", true),
            (r"[^]a]+", "]", false),
            (r"[+--]+", "+,-", true),
            (r"[a&&b]+", "a&b", true),
            (r"[a~~b-]+", "~-", true),
            (r"\Qa.b\E+", "a.bbb", true),
            (r"(?i)abc", "ABC", true),
            (r"[\d.]+", "1.2", true),
            (r"\p{Greek}\pL", "αb", true),
            (r".", "é", true),
            (r"\x41\x{42}", "AB", true),
            (r"a\b.\Bb", "a b", false),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().is_match(value), matches, "{pattern} on {value}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for wrong in [r"\C", r"\1", r"\u{41}", "(?x)a", "(?=a)", "(a", "[a", r"[a-\d]", "*", r"\"] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }
}
