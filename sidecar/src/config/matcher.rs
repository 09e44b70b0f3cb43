//! Compares one request with the conditions of a route: headers, query parameters, strings.

use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use http::{HeaderMap, HeaderName};
use regex::Regex;

use super::value::At;
use super::{ConfigError, Notes};

/// What a route may look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    pub method: &'a str,
    pub authority: &'a str,
    /// Without the query.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

#[derive(Clone, Debug)]
pub enum StringMatch {
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(String),
    Regex(Regex),
    /// An extension that is not known here.
    Never,
    /// Any of the above, both sides in lower case.
    IgnoreCase(Box<StringMatch>),
}

#[derive(Clone, Debug)]
pub struct HeaderMatch {
    key: HeaderKey,
    kind: HeaderMatchKind,
    invert: bool,
    missing_is_empty: bool,
}

#[derive(Clone, Debug)]
pub struct QueryMatch {
    name: String,
    /// Nothing: the parameter has to be there.
    value: Option<StringMatch>,
    present: bool,
}

#[derive(Clone, Debug)]
enum HeaderKey {
    Method,
    Authority,
    Path,
    Scheme,
    Named(HeaderName),
}

#[derive(Clone, Debug)]
enum HeaderMatchKind {
    Present(bool),
    Range(i64, i64),
    Text(StringMatch),
}

// --- implementations ---

impl StringMatch {
    pub fn compile(at: At<'_>, from: &matcher::StringMatcher, notes: &mut Notes) -> Result<Self, ConfigError> {
        use matcher::string_matcher::MatchPattern;
        let fold = |text: &str| match from.ignore_case {
            true => text.to_ascii_lowercase(),
            false => text.to_owned(),
        };
        let plain = match from.match_pattern.as_ref() {
            Some(MatchPattern::Exact(text)) => Self::Exact(fold(text)),
            Some(MatchPattern::Prefix(text)) => Self::Prefix(fold(text)),
            Some(MatchPattern::Suffix(text)) => Self::Suffix(fold(text)),
            Some(MatchPattern::Contains(text)) => Self::Contains(fold(text)),
            // RE2's ignore_case is not defined for regular expressions: they bring their own flag.
            Some(MatchPattern::SafeRegex(regex)) => {
                return Ok(Self::Regex(full_regex(at, &regex.regex)?));
            }
            Some(MatchPattern::Custom(_)) => {
                notes.add("custom string matchers are not honoured: they match nothing");
                Self::Never
            }
            None => return Err(at.error("a match_pattern is needed")),
        };
        Ok(match from.ignore_case {
            true => Self::IgnoreCase(Box::new(plain)),
            false => plain,
        })
    }

    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => value == text,
            Self::Prefix(text) => value.starts_with(text.as_str()),
            Self::Suffix(text) => value.ends_with(text.as_str()),
            Self::Contains(text) => value.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Never => false,
            Self::IgnoreCase(inner) => inner.matches(&value.to_ascii_lowercase()),
        }
    }
}

/// Envoy matches the whole value, so the pattern is anchored on both sides.
pub fn full_regex(at: At<'_>, pattern: &str) -> Result<Regex, ConfigError> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|error| at.error(format!("invalid regular expression `{pattern}`: {error}")))
}

impl HeaderMatch {
    pub fn compile(at: At<'_>, from: &route::HeaderMatcher, notes: &mut Notes) -> Result<Self, ConfigError> {
        use matcher::string_matcher::MatchPattern;
        use route::header_matcher::HeaderMatchSpecifier as Spec;
        let mut old = |pattern| -> Result<HeaderMatchKind, ConfigError> {
            let matcher = matcher::StringMatcher { ignore_case: false, match_pattern: Some(pattern) };
            Ok(HeaderMatchKind::Text(StringMatch::compile(at, &matcher, notes)?))
        };
        let kind = match from.header_match_specifier.as_ref() {
            None => HeaderMatchKind::Present(true),
            Some(Spec::PresentMatch(present)) => HeaderMatchKind::Present(*present),
            Some(Spec::RangeMatch(range)) => HeaderMatchKind::Range(range.start, range.end),
            Some(Spec::StringMatch(text)) => HeaderMatchKind::Text(StringMatch::compile(at, text, notes)?),
            Some(Spec::ExactMatch(text)) => old(MatchPattern::Exact(text.clone()))?,
            Some(Spec::PrefixMatch(text)) => old(MatchPattern::Prefix(text.clone()))?,
            Some(Spec::SuffixMatch(text)) => old(MatchPattern::Suffix(text.clone()))?,
            Some(Spec::ContainsMatch(text)) => old(MatchPattern::Contains(text.clone()))?,
            Some(Spec::SafeRegexMatch(text)) => old(MatchPattern::SafeRegex(text.clone()))?,
        };
        Ok(Self {
            key: HeaderKey::compile(at, &from.name)?,
            kind,
            invert: from.invert_match,
            missing_is_empty: from.treat_missing_header_as_empty,
        })
    }

    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let value = self.key.read(request);
        if let HeaderMatchKind::Present(present) = self.kind {
            return (value.is_some() == present) != self.invert;
        }
        // A missing header matches nothing, not even an inverted condition, unless it counts as empty.
        let Some(value) = value.or(self.missing_is_empty.then(String::new)) else {
            return false;
        };
        let hit = match &self.kind {
            HeaderMatchKind::Present(_) => true,
            HeaderMatchKind::Range(start, end) => value.parse::<i64>().is_ok_and(|number| number >= *start && number < *end),
            HeaderMatchKind::Text(text) => text.matches(&value),
        };
        hit != self.invert
    }
}

impl HeaderKey {
    fn compile(at: At<'_>, name: &str) -> Result<Self, ConfigError> {
        Ok(match name.to_ascii_lowercase().as_str() {
            ":method" => Self::Method,
            ":authority" | "host" => Self::Authority,
            ":path" => Self::Path,
            ":scheme" => Self::Scheme,
            other => Self::Named(
                HeaderName::from_bytes(other.as_bytes()).map_err(|_| at.error(format!("`{name}` is not a header name")))?,
            ),
        })
    }

    /// Several values of one header count as one, joined by commas.
    fn read(&self, request: &RequestView<'_>) -> Option<String> {
        match self {
            Self::Method => Some(request.method.to_owned()),
            Self::Authority => Some(request.authority.to_owned()),
            Self::Scheme => Some("http".to_owned()),
            Self::Path => Some(match request.query {
                Some(query) => format!("{}?{query}", request.path),
                None => request.path.to_owned(),
            }),
            Self::Named(name) => {
                let mut values = request.headers.get_all(name).iter();
                let mut all = String::from_utf8_lossy(values.next()?.as_bytes()).into_owned();
                for value in values {
                    all.push(',');
                    all.push_str(&String::from_utf8_lossy(value.as_bytes()));
                }
                Some(all)
            }
        }
    }
}

impl QueryMatch {
    pub fn compile(at: At<'_>, from: &route::QueryParameterMatcher, notes: &mut Notes) -> Result<Self, ConfigError> {
        use route::query_parameter_matcher::QueryParameterMatchSpecifier as Spec;
        let (value, present) = match from.query_parameter_match_specifier.as_ref() {
            None => (None, true),
            Some(Spec::PresentMatch(present)) => (None, *present),
            Some(Spec::StringMatch(text)) => (Some(StringMatch::compile(at, text, notes)?), true),
        };
        Ok(Self { name: from.name.clone(), value, present })
    }

    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        let found = request.query.unwrap_or_default().split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == self.name).then_some(value)
        });
        match (&self.value, found) {
            (None, found) => found.is_some() == self.present,
            (Some(text), Some(value)) => text.matches(value),
            (Some(_), None) => false,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use matcher::string_matcher::MatchPattern;
    use route::header_matcher::HeaderMatchSpecifier as Spec;

    const AT: At<'static> = At { object: "route `r`", field: "match" };

    fn matches(matcher: route::HeaderMatcher, headers: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap = headers.iter().map(|(k, v)| (HeaderName::from_static(k), v.parse().unwrap())).collect();
        HeaderMatch::compile(AT, &matcher, &mut Notes::default()).unwrap().matches(&RequestView {
            method: "GET",
            authority: "reviews:9080",
            path: "/a",
            query: Some("x=1&y"),
            headers: &headers,
        })
    }

    fn header(name: &str, spec: Option<Spec>) -> route::HeaderMatcher {
        route::HeaderMatcher { name: name.into(), header_match_specifier: spec, ..Default::default() }
    }

    fn text(pattern: MatchPattern, ignore_case: bool) -> Option<Spec> {
        Some(Spec::StringMatch(matcher::StringMatcher { ignore_case, match_pattern: Some(pattern) }))
    }

    #[test]
    fn every_kind_of_header_condition() {
        let luffy = &[("end-user", "luffy")];
        assert!(matches(header("end-user", text(MatchPattern::Exact("luffy".into()), false)), luffy));
        assert!(!matches(header("end-user", text(MatchPattern::Exact("LUFFY".into()), false)), luffy));
        assert!(matches(header("end-user", text(MatchPattern::Exact("LUFFY".into()), true)), luffy));
        assert!(matches(header("End-User", Some(Spec::PrefixMatch("lu".into()))), luffy));
        assert!(matches(header("end-user", Some(Spec::SuffixMatch("fy".into()))), luffy));
        assert!(matches(header("end-user", Some(Spec::ContainsMatch("uf".into()))), luffy));
        assert!(matches(header("end-user", None), luffy));
        assert!(matches(header("other", Some(Spec::PresentMatch(false))), luffy));
        let regex = |pattern: &str| {
            text(MatchPattern::SafeRegex(matcher::RegexMatcher { regex: pattern.into(), ..Default::default() }), false)
        };
        assert!(matches(header("end-user", regex("l.*y")), luffy));
        assert!(!matches(header("end-user", regex("l")), luffy), "the whole value has to match");
        assert!(matches(header(":method", Some(Spec::ExactMatch("GET".into()))), &[]));
        assert!(matches(header(":path", Some(Spec::ExactMatch("/a?x=1&y".into()))), &[]));
        assert!(matches(
            header("n", Some(Spec::RangeMatch(envoy_types::pb::envoy::r#type::v3::Int64Range { start: 5, end: 7 }))),
            &[("n", "6")]
        ));
    }

    #[test]
    fn inverted_conditions_need_the_header_unless_missing_counts_as_empty() {
        let mut inverted = header("end-user", Some(Spec::ExactMatch("luffy".into())));
        inverted.invert_match = true;
        assert!(!matches(inverted.clone(), &[]));
        assert!(matches(inverted.clone(), &[("end-user", "zoro")]));
        inverted.treat_missing_header_as_empty = true;
        assert!(matches(inverted, &[]));
    }

    #[test]
    fn query_parameters_by_value_and_presence() {
        let request = RequestView { method: "GET", authority: "a", path: "/", query: Some("x=1&y"), headers: &HeaderMap::new() };
        let query = |name: &str, spec| {
            QueryMatch::compile(
                AT,
                &route::QueryParameterMatcher { name: name.into(), query_parameter_match_specifier: spec },
                &mut Notes::default(),
            )
            .unwrap()
            .matches(&request)
        };
        use route::query_parameter_matcher::QueryParameterMatchSpecifier as Q;
        let exact = |value: &str| {
            Some(Q::StringMatch(matcher::StringMatcher {
                ignore_case: false,
                match_pattern: Some(MatchPattern::Exact(value.into())),
            }))
        };
        assert!(query("x", exact("1")));
        assert!(!query("x", exact("2")));
        assert!(query("y", None));
        assert!(!query("z", None));
    }

    #[test]
    fn a_broken_regex_is_an_error_that_shows_it() {
        let error = full_regex(AT, "(").unwrap_err();
        assert!(error.to_string().starts_with("route `r`: `match`: invalid regular expression `(`"));
    }
}
