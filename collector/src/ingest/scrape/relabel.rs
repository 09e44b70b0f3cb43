//! Prometheus' relabelling: rules that rewrite a set of labels, or drop whom it belongs to.
//!
//! The same rules serve targets (`relabel_configs`) and samples (`metric_relabel_configs`).

mod pattern;

use std::sync::Arc;

use md5::{Digest, Md5};

use super::labels::{LabelSet, is_label_name};
pub use pattern::{PATTERN_BYTES_MAX, Pattern, PatternError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Replace,
    Keep,
    Drop,
    KeepEqual,
    DropEqual,
    HashMod,
    LabelMap,
    LabelDrop,
    LabelKeep,
    Lowercase,
    Uppercase,
}

/// One rule as it is written; what is absent has Prometheus' default.
#[derive(Clone, Debug, Default)]
pub struct RelabelConfig {
    pub action: Option<String>,
    pub source_labels: Option<Vec<String>>,
    pub separator: Option<String>,
    pub regex: Option<String>,
    pub modulus: Option<u64>,
    pub target_label: Option<String>,
    pub replacement: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelabelError {
    #[error("there is no relabel action `{0}`")]
    Action(String),
    #[error("`{0}` is no name of a label")]
    SourceLabel(String),
    #[error("the relabel action `{0}` needs a `target_label`")]
    NoTarget(&'static str),
    #[error("`{1}` is no `target_label` for the relabel action `{0}`")]
    Target(&'static str, String),
    #[error("`{0}` is no `replacement` for the relabel action `labelmap`")]
    Replacement(String),
    #[error("the relabel action `hashmod` needs a `modulus` above 0")]
    Modulus,
    #[error("the relabel action `{0}` takes no `{1}`")]
    Unexpected(&'static str, &'static str),
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// One rule, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RelabelRule {
    action: Action,
    source_labels: Vec<String>,
    separator: String,
    pattern: Pattern,
    modulus: u64,
    target_label: String,
    replacement: String,
}

/// Rules in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelabelRules(Arc<[RelabelRule]>);

impl RelabelRules {
    #[must_use]
    pub fn new(rules: Vec<RelabelRule>) -> Self {
        Self(rules.into())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rewrites the labels; false when they, and whom they belong to, are dropped.
    #[must_use]
    pub fn apply(&self, labels: &mut LabelSet) -> bool {
        self.0.iter().all(|rule| rule.apply(labels))
    }
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name().eq_ignore_ascii_case(name))
    }
}

impl RelabelRule {
    /// Checks a rule as Prometheus does when it loads its configuration.
    pub fn new(config: RelabelConfig) -> Result<Self, RelabelError> {
        let action = match &config.action {
            None => Action::Replace,
            Some(name) => Action::named(name).ok_or_else(|| RelabelError::Action(name.clone()))?,
        };
        if let Some(wrong) = config.source_labels.iter().flatten().find(|name| !is_label_name(name)) {
            return Err(RelabelError::SourceLabel(wrong.clone()));
        }
        let has_pattern = config.regex.is_some();
        let rule = Self {
            action,
            pattern: Pattern::new(config.regex.as_deref().unwrap_or("(.*)"))?,
            separator: config.separator.unwrap_or_else(|| ";".to_owned()),
            modulus: config.modulus.unwrap_or(0),
            target_label: config.target_label.unwrap_or_default(),
            replacement: config.replacement.unwrap_or_else(|| "$1".to_owned()),
            source_labels: config.source_labels.unwrap_or_default(),
        };
        rule.check(has_pattern)?;
        Ok(rule)
    }

    fn check(&self, has_pattern: bool) -> Result<(), RelabelError> {
        let name = self.action.name();
        let unexpected = |field| Err(RelabelError::Unexpected(name, field));
        let has_replacement = self.replacement != "$1";
        match self.action {
            Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase | Action::KeepEqual | Action::DropEqual
                if self.target_label.is_empty() =>
            {
                return Err(RelabelError::NoTarget(name));
            }
            Action::HashMod if self.modulus == 0 => return Err(RelabelError::Modulus),
            Action::LabelMap if !is_target(&self.replacement) => {
                return Err(RelabelError::Replacement(self.replacement.clone()));
            }
            Action::Lowercase | Action::Uppercase if has_replacement => return unexpected("replacement"),
            Action::KeepEqual | Action::DropEqual if has_pattern => return unexpected("regex"),
            Action::KeepEqual | Action::DropEqual if self.modulus != 0 => return unexpected("modulus"),
            Action::KeepEqual | Action::DropEqual if self.separator != ";" => return unexpected("separator"),
            Action::KeepEqual | Action::DropEqual if has_replacement => return unexpected("replacement"),
            Action::LabelDrop | Action::LabelKeep if !self.source_labels.is_empty() => return unexpected("source_labels"),
            Action::LabelDrop | Action::LabelKeep if !self.target_label.is_empty() => return unexpected("target_label"),
            Action::LabelDrop | Action::LabelKeep if self.modulus != 0 => return unexpected("modulus"),
            Action::LabelDrop | Action::LabelKeep if self.separator != ";" => return unexpected("separator"),
            Action::LabelDrop | Action::LabelKeep if has_replacement => return unexpected("replacement"),
            _ => {}
        }
        let is_good = match self.action {
            Action::Replace | Action::Lowercase | Action::Uppercase | Action::KeepEqual | Action::DropEqual => {
                is_target(&self.target_label)
            }
            Action::HashMod => is_label_name(&self.target_label),
            _ => true,
        };
        if is_good { Ok(()) } else { Err(RelabelError::Target(name, self.target_label.clone())) }
    }

    fn apply(&self, labels: &mut LabelSet) -> bool {
        match self.action {
            Action::LabelDrop => labels.retain(|name| !self.pattern.is_match(name)),
            Action::LabelKeep => labels.retain(|name| self.pattern.is_match(name)),
            Action::LabelMap => self.map(labels),
            Action::Keep => return self.pattern.is_match(&self.value(labels)),
            Action::Drop => return !self.pattern.is_match(&self.value(labels)),
            Action::KeepEqual => return labels.get(&self.target_label) == self.value(labels),
            Action::DropEqual => return labels.get(&self.target_label) != self.value(labels),
            Action::Replace => self.replace(labels),
            Action::HashMod => labels.set(&self.target_label, (hash(&self.value(labels)) % self.modulus).to_string()),
            Action::Lowercase => labels.set(&self.target_label, lowercase(&self.value(labels))),
            Action::Uppercase => labels.set(&self.target_label, uppercase(&self.value(labels))),
        }
        true
    }

    /// The values of the source labels, joined.
    fn value(&self, labels: &LabelSet) -> String {
        let mut value = String::new();
        for (index, name) in self.source_labels.iter().enumerate() {
            if index > 0 {
                value.push_str(&self.separator);
            }
            value.push_str(labels.get(name));
        }
        value
    }

    fn replace(&self, labels: &mut LabelSet) {
        let value = self.value(labels);
        let Some(found) = self.pattern.find(&value) else { return };
        let target = found.expand(&self.target_label);
        if is_label_name(&target) {
            labels.set(&target, found.expand(&self.replacement));
        }
    }

    /// All matching names are of before the rule; of two that become one the later counts.
    fn map(&self, labels: &mut LabelSet) {
        let found: Vec<(String, Arc<str>)> = labels
            .iter()
            .filter_map(|(name, value)| Some((self.pattern.find(name)?.expand(&self.replacement), value.clone())))
            .collect();
        for (name, value) in found {
            labels.set(&name, value);
        }
    }
}

/// `^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$`: a name, parts of which may come from groups.
fn is_target(text: &str) -> bool {
    let mut rest = text;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // Digits may follow anything but cannot begin.
    let mut is_begun = false;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '$' => {
                let (is_braced, name) = rest.strip_prefix('{').map_or((false, rest), |rest| (true, rest));
                let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
                if end == 0 || (is_braced && !name[end..].starts_with('}')) {
                    return false;
                }
                rest = &name[end + usize::from(is_braced)..];
            }
            c if is_word(c) && (is_begun || !c.is_ascii_digit()) => {}
            _ => return false,
        }
        is_begun = true;
    }
    is_begun
}

/// The last eight bytes of the MD5 sum, big-endian.
fn hash(value: &str) -> u64 {
    let sum = Md5::digest(value.as_bytes());
    sum.iter().skip(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Character by character, as Go: no special casing that depends on neighbours or changes the length.
fn lowercase(text: &str) -> String {
    text.chars().map(|c| if c == 'İ' { 'i' } else { single(c.to_lowercase()).unwrap_or(c) }).collect()
}

fn uppercase(text: &str) -> String {
    text.chars().map(|c| single(c.to_uppercase()).unwrap_or(c)).collect()
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> LabelSet {
        text.split_whitespace().filter_map(|pair| pair.split_once('=')).collect()
    }

    fn rule(action: &str, sources: &str, regex: Option<&str>, target: &str, replacement: Option<&str>) -> RelabelConfig {
        RelabelConfig {
            action: Some(action.to_owned()),
            source_labels: (!sources.is_empty()).then(|| sources.split(',').map(str::to_owned).collect()),
            regex: regex.map(str::to_owned),
            target_label: (!target.is_empty()).then(|| target.to_owned()),
            replacement: replacement.map(str::to_owned),
            ..RelabelConfig::default()
        }
    }

    fn check(config: RelabelConfig, before: &str, after: Option<&str>) {
        let rules = RelabelRules::new(vec![RelabelRule::new(config.clone()).unwrap()]);
        let mut seen = labels(before);
        let kept = rules.apply(&mut seen);
        assert_eq!(kept.then_some(seen), after.map(labels), "{config:?}");
    }

    #[test]
    fn each_action_does_as_prometheus_says() {
        check(rule("replace", "a,b", Some("f(.*);(.*)r"), "a", Some("b${1}${2}m")), "a=foo b=bar", Some("a=boobam b=bar"));
        check(rule("replace", "a", Some("x"), "b", Some("y")), "a=foo", Some("a=foo"));
        check(rule("replace", "a", None, "a", Some("")), "a=foo b=c", Some("b=c"));
        check(rule("replace", "a", Some("(.+)-(.+)"), "${2}", Some("$1")), "a=some-name", Some("a=some-name name=some"));
        check(rule("replace", "a", Some("(.+)-(.+)"), "${2}", Some("$1")), "a=some-1name", Some("a=some-1name"));
        check(rule("keep", "a", Some("fo+"), "", None), "a=foo", Some("a=foo"));
        check(rule("keep", "a", Some("o"), "", None), "a=foo", None);
        check(rule("drop", "a", Some("fo+"), "", None), "a=foo", None);
        check(rule("keepequal", "a", None, "b", None), "a=1 b=1", Some("a=1 b=1"));
        check(rule("dropequal", "a", None, "b", None), "a=1 b=1", None);
        check(rule("labelmap", "", Some("meta_(ng.*)"), "", None), "meta_ng1=x b=c", Some("meta_ng1=x ng1=x b=c"));
        check(rule("labeldrop", "", Some("m.*"), "", None), "meta=x b=c", Some("b=c"));
        check(rule("labelkeep", "", Some("m.*"), "", None), "meta=x b=c", Some("meta=x"));
        check(rule("lowercase", "a", None, "a", None), "a=FooÄ", Some("a=fooä"));
        check(rule("uppercase", "a", None, "b", None), "a=fooß", Some("a=fooß b=FOOß"));
        check(RelabelConfig { modulus: Some(1000), ..rule("hashmod", "a", None, "h", None) }, "a=baz", Some("a=baz h=976"));
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        let wrong = |config| RelabelRule::new(config).unwrap_err();
        assert_eq!(wrong(rule("swap", "", None, "", None)), RelabelError::Action("swap".to_owned()));
        assert_eq!(wrong(rule("replace", "a", None, "", None)), RelabelError::NoTarget("replace"));
        assert_eq!(wrong(rule("replace", "a", None, "0a", None)), RelabelError::Target("replace", "0a".to_owned()));
        assert_eq!(wrong(rule("replace", "a-b", None, "x", None)), RelabelError::SourceLabel("a-b".to_owned()));
        assert_eq!(wrong(rule("hashmod", "a", None, "x", None)), RelabelError::Modulus);
        assert_eq!(wrong(rule("labeldrop", "a", Some("x"), "", None)), RelabelError::Unexpected("labeldrop", "source_labels"));
        assert_eq!(wrong(rule("keepequal", "a", Some("x"), "b", None)), RelabelError::Unexpected("keepequal", "regex"));
        assert_eq!(wrong(rule("labelmap", "", None, "", Some("a-$1"))), RelabelError::Replacement("a-$1".to_owned()));
        assert!(matches!(wrong(rule("keep", "a", Some("("), "", None)), RelabelError::Pattern(_)));
    }

    #[test]
    fn targets_may_have_groups() {
        for good in ["a", "${1}", "$1_x", "a${1}b", "__x9", "$1${2}"] {
            assert!(is_target(good), "{good}");
        }
        for bad in ["", "0", "a-b", "${1", "$", "a.$1"] {
            assert!(!is_target(bad), "{bad}");
        }
    }
}
