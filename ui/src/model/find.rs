//! The find language: `err>1% ns:bookinfo !healthy`; all words must hold, `!` turns one round.

use std::fmt;

use sidelight_api::graph::Health;

use crate::i18n::frame::Frame;

/// Something that can be found: a node or an edge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    pub names: Vec<String>,
    pub namespaces: Vec<String>,
    pub app: String,
    pub version: String,
    pub protocols: Vec<String>,
    /// Requests per second.
    pub rate: f64,
    /// Failing requests, percent.
    pub errors: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub health: Health,
    pub idle: bool,
    pub mtls: bool,
    pub edge: bool,
}

pub struct Example {
    pub text: &'static str,
    pub meaning: Frame,
}

pub const EXAMPLES: [Example; 7] = [
    Example { text: "err>1%", meaning: Frame::FindErrors },
    Example { text: "rate>5", meaning: Frame::FindRate },
    Example { text: "p95>500", meaning: Frame::FindP95 },
    Example { text: "name=reviews", meaning: Frame::FindName },
    Example { text: "ns:bookinfo", meaning: Frame::FindNamespace },
    Example { text: "!healthy", meaning: Frame::FindUnhealthy },
    Example { text: "!mtls", meaning: Frame::FindPlain },
];

/// A find text that was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Number { field: Number, comparison: Comparison, value: f64 },
    Text { field: TextField, exact: bool, value: String },
    Is(Quality),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Rate,
    Errors,
    P50,
    P95,
    P99,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Over,
    AtLeast,
    Under,
    AtMost,
    Equal,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum TextField {
    Name,
    Namespace,
    App,
    Version,
    Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Quality {
    Healthy,
    Degraded,
    Failing,
    Idle,
    Mtls,
    Node,
    Edge,
}

/// The word that was not understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    pub word: String,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::i18n::fill(Frame::FindUnknown, &[&self.word]))
    }
}

impl Query {
    pub fn parse(text: &str) -> Result<Self, Unknown> {
        words(text).iter().map(|word| term(word)).collect::<Result<_, _>>().map(Self)
    }

    /// An empty query finds nothing rather than everything.
    pub fn finds(&self, subject: &Subject) -> bool {
        !self.0.is_empty() && self.0.iter().all(|term| term.test.holds(subject) != term.negated)
    }
}

/// Splits at blanks, but keeps `err > 1%` together.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut glue = false;
    for word in text.split_whitespace() {
        let continues = word.starts_with(['>', '<', '=']) || word == "%";
        match words.last_mut() {
            Some(last) if glue || continues => last.push_str(word),
            _ => words.push(word.to_owned()),
        }
        glue = word.ends_with(['>', '<', '=', ':']);
    }
    words
}

fn term(word: &str) -> Result<Term, Unknown> {
    let (negated, body) = match word.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let unknown = || Unknown { word: word.to_owned() };
    let test = match body.find([':', '=', '>', '<']) {
        Some(at) => field_test(&body[..at], &body[at..]).ok_or_else(unknown)?,
        None if body.is_empty() => return Err(unknown()),
        None => bare(body),
    };
    Ok(Term { negated, test })
}

fn bare(word: &str) -> Test {
    match word.to_ascii_lowercase().as_str() {
        "healthy" => Test::Is(Quality::Healthy),
        "degraded" => Test::Is(Quality::Degraded),
        "failing" | "failure" | "err" => Test::Is(Quality::Failing),
        "idle" => Test::Is(Quality::Idle),
        "mtls" => Test::Is(Quality::Mtls),
        "node" => Test::Is(Quality::Node),
        "edge" => Test::Is(Quality::Edge),
        other => Test::Text { field: TextField::Name, exact: false, value: other.to_owned() },
    }
}

fn field_test(field: &str, rest: &str) -> Option<Test> {
    const OPERATORS: [(&str, Comparison); 5] = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::Over),
        ("<", Comparison::Under),
        ("=", Comparison::Equal),
    ];
    let field = field.to_ascii_lowercase();
    let text = match field.as_str() {
        "name" => Some(TextField::Name),
        "ns" | "namespace" => Some(TextField::Namespace),
        "app" => Some(TextField::App),
        "version" | "v" => Some(TextField::Version),
        "protocol" => Some(TextField::Protocol),
        _ => None,
    };
    if let Some(text) = text {
        let (exact, value) = match rest.strip_prefix('=') {
            Some(value) => (true, value),
            None => (false, rest.strip_prefix(':')?),
        };
        return (!value.is_empty()).then(|| Test::Text { field: text, exact, value: value.to_ascii_lowercase() });
    }
    let number = match field.as_str() {
        "rate" | "rps" => Number::Rate,
        "err" | "error" | "errors" => Number::Errors,
        "p50" => Number::P50,
        "p95" => Number::P95,
        "p99" => Number::P99,
        _ => return None,
    };
    let (operator, comparison) = OPERATORS.into_iter().find(|(operator, _)| rest.starts_with(operator))?;
    Some(Test::Number { field: number, comparison, value: quantity(&rest[operator.len()..])? })
}

/// A number with an optional unit; durations are milliseconds.
fn quantity(text: &str) -> Option<f64> {
    let (digits, factor) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 1.0)
    } else if let Some(digits) = text.strip_suffix("rps") {
        (digits, 1.0)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1000.0)
    } else {
        (text.trim_end_matches('%'), 1.0)
    };
    digits.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number * factor)
}

impl Test {
    fn holds(&self, subject: &Subject) -> bool {
        match self {
            Self::Number { field, comparison, value } => comparison.holds(field.of(subject), *value),
            Self::Text { field, exact, value } => field.of(subject).iter().any(|text| {
                let text = text.to_ascii_lowercase();
                if *exact { text == *value } else { text.contains(value.as_str()) }
            }),
            Self::Is(quality) => quality.holds(subject),
        }
    }
}

impl Number {
    fn of(self, subject: &Subject) -> f64 {
        match self {
            Self::Rate => subject.rate,
            Self::Errors => subject.errors,
            Self::P50 => subject.p50_ms,
            Self::P95 => subject.p95_ms,
            Self::P99 => subject.p99_ms,
        }
    }
}

impl TextField {
    fn of(self, subject: &Subject) -> Vec<&str> {
        match self {
            Self::Name => subject.names.iter().map(String::as_str).collect(),
            Self::Namespace => subject.namespaces.iter().map(String::as_str).collect(),
            Self::App => vec![&subject.app],
            Self::Version => vec![&subject.version],
            Self::Protocol => subject.protocols.iter().map(String::as_str).collect(),
        }
    }
}

impl Comparison {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Over => left > right,
            Self::AtLeast => left >= right,
            Self::Under => left < right,
            Self::AtMost => left <= right,
            Self::Equal => (left - right).abs() < 0.005,
        }
    }
}

impl Quality {
    fn holds(self, subject: &Subject) -> bool {
        match self {
            // What has no traffic to judge is not unhealthy.
            Self::Healthy => matches!(subject.health, Health::Healthy | Health::Na),
            Self::Degraded => subject.health == Health::Degraded,
            Self::Failing => subject.health == Health::Failure,
            Self::Idle => subject.idle,
            Self::Mtls => subject.mtls,
            Self::Node => !subject.edge,
            Self::Edge => subject.edge,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn details() -> Subject {
        Subject {
            names: vec!["details".into(), "details-v1".into()],
            namespaces: vec!["bookinfo".into()],
            app: "details".into(),
            version: "v1".into(),
            protocols: vec!["http".into()],
            rate: 14.8,
            errors: 26.4,
            p50_ms: 9.0,
            p95_ms: 2100.0,
            p99_ms: 3000.0,
            health: Health::Failure,
            idle: false,
            mtls: true,
            edge: false,
        }
    }

    fn finds(text: &str) -> bool {
        Query::parse(text).unwrap().finds(&details())
    }

    #[test]
    fn words_that_hold_for_a_failing_workload() {
        for text in [
            "err>1%",
            "err > 1 %",
            "rate>5",
            "p95>500",
            "p95>2s",
            "p99>=3000ms",
            "name=details",
            "ns:book",
            "!healthy",
            "failing",
            "det",
            "version=v1 app:det",
            "mtls node",
        ] {
            assert!(finds(text), "{text}");
        }
    }

    #[test]
    fn words_that_do_not() {
        for text in ["err>50%", "rate<5", "name=detail", "ns=book", "healthy", "!mtls", "edge", "failing rate>20", ""] {
            assert!(!finds(text), "{text}");
        }
    }

    #[test]
    fn names_the_word_that_is_not_understood() {
        assert_eq!(Query::parse("rate>5 size>3"), Err(Unknown { word: "size>3".into() }));
        assert_eq!(Query::parse("err>many"), Err(Unknown { word: "err>many".into() }));
        assert_eq!(Query::parse("!"), Err(Unknown { word: "!".into() }));
    }
}
