//! Reads rule files as Prometheus does; everything that is wrong is told at once, with file, line and what to do.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::group::{Alerting, Group, Kind, Rule};
use super::template::Template;
use crate::ingest::exposition::is_name;
use crate::ingest::scrape::config::yaml::{self, Mistakes, Node, Table};
use crate::ingest::scrape::{is_label_name, matching_files};
use crate::query::promql;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Groups of all files.
pub const GROUPS_MAX: usize = 1_000;
/// Rules of all files.
pub const RULES_MAX: usize = 10_000;
/// Labels, or annotations, of one rule.
const PAIRS_MAX: usize = 64;
/// Shortest time between two evaluations.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// All mistakes of all files, each with its file and line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct RuleMistakes(pub Vec<String>);

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    pub name: Arc<str>,
    pub text: String,
}

/// Reads the files that the patterns name; one without `*` has to be there.
///
/// # Errors
/// When one is not there, cannot be read, or is too large.
pub fn read(patterns: &[String]) -> Result<Vec<RuleText>, RuleMistakes> {
    let (mut texts, mut mistakes, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    for pattern in patterns {
        let paths = matching_files(pattern);
        if paths.is_empty() && !pattern.contains('*') {
            mistakes.push(format!("{pattern}: there is no such rule file; write one, or take it out of the settings"));
        }
        for path in paths.into_iter().filter(|path| known.insert(path.clone())) {
            match text(&path) {
                Ok(text) => texts.push(RuleText { name: path.display().to_string().into(), text }),
                Err(why) => mistakes.push(format!("{}: {why}", path.display())),
            }
        }
    }
    if mistakes.is_empty() { Ok(texts) } else { Err(RuleMistakes(mistakes)) }
}

fn text(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("the rule file cannot be read: {error}");
    if std::fs::metadata(path).map_err(told)?.len() > FILE_BYTES_MAX {
        return Err(format!("the rule file is larger than {FILE_BYTES_MAX} bytes; split it"));
    }
    std::fs::read_to_string(path).map_err(told)
}

/// The groups of all files.
///
/// # Errors
/// Everything that is wrong.
pub fn parse(texts: &[RuleText]) -> Result<Vec<Group>, RuleMistakes> {
    let (mut groups, mut told) = (Vec::new(), Vec::new());
    for RuleText { name, text } in texts {
        let mut mistakes = Mistakes::default();
        match yaml::parse(text) {
            Ok(root) => groups.extend(document(&root, name, &mut mistakes)),
            Err((line, why)) => mistakes.add(line, why),
        }
        mistakes.0.sort();
        told.extend(mistakes.0.into_iter().map(|(line, why)| format!("{name}:{line}: {why}")));
    }
    let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
    if groups.len() > GROUPS_MAX || rules > RULES_MAX {
        told.push(format!("{rules} rules in {} groups; there may be {RULES_MAX} in {GROUPS_MAX}", groups.len()));
    }
    if told.is_empty() { Ok(groups) } else { Err(RuleMistakes(told)) }
}

fn document(root: &Node, file: &Arc<str>, mistakes: &mut Mistakes) -> Vec<Group> {
    let mut table = root.table("a rule file", mistakes);
    let mut groups: Vec<Group> = Vec::new();
    if let Some(entry) = table.take("groups") {
        for node in entry.value.list("groups", mistakes) {
            let group = group(node, file, mistakes);
            if groups.iter().any(|known| known.name == group.name) {
                mistakes.add(node.line, format!("there are two groups with the name `{}`; rename one", group.name));
            }
            groups.push(group);
        }
    }
    table.finish(mistakes);
    groups
}

fn group(node: &Node, file: &Arc<str>, mistakes: &mut Mistakes) -> Group {
    let mut table = node.table("a group", mistakes);
    let name = table.text("name", mistakes).unwrap_or_default();
    if name.is_empty() {
        mistakes.add(node.line, "a group needs a name; add `name: …`");
    }
    let interval = table.duration("interval", mistakes).filter(|interval| !interval.is_zero());
    if interval.is_some_and(|interval| interval < INTERVAL_MIN) {
        mistakes.add(node.line, format!("the interval of `{name}` is shorter than {INTERVAL_MIN:?}; make it longer"));
    }
    let limit = table.limit("limit", mistakes).unwrap_or(0);
    let query_offset = table.duration("query_offset", mistakes).unwrap_or_default();
    let shared = templates(table.pairs("labels", mistakes), "label", node.line, mistakes);
    let rules = table.take("rules").map_or_else(Vec::new, |entry| {
        let nodes = entry.value.list("rules", mistakes).iter();
        nodes.map(|node| rule(node, mistakes)).collect()
    });
    table.finish(mistakes);
    let with_shared = |mut rule: Rule| {
        let own = std::mem::take(&mut rule.labels);
        let is_own = |name: &str| own.iter().any(|(known, _, _)| known == name);
        rule.labels = shared.iter().filter(|(name, _, _)| !is_own(name)).cloned().collect();
        rule.labels.extend(own);
        rule
    };
    let rules = rules.into_iter().map(with_shared).collect();
    Group { name, file: Arc::clone(file), interval, limit, query_offset, rules }
}

fn rule(node: &Node, mistakes: &mut Mistakes) -> Rule {
    let mut table = node.table("a rule", mistakes);
    let (record, alert) = (table.text_and_line("record", mistakes), table.text_and_line("alert", mistakes));
    let expression = expression(&mut table, mistakes);
    let labels = templates(table.pairs("labels", mistakes), "label", node.line, mistakes);
    let annotations = templates(table.pairs("annotations", mistakes), "annotation", node.line, mistakes);
    let hold = table.duration("for", mistakes);
    let keep_firing = table.duration("keep_firing_for", mistakes);
    table.finish(mistakes);
    let is_alert = record.is_none();
    let name = name(record, alert, node.line, mistakes);
    if !is_alert {
        for (is_there, key) in
            [(hold.is_some(), "for"), (keep_firing.is_some(), "keep_firing_for"), (!annotations.is_empty(), "annotations")]
        {
            if is_there {
                mistakes.add(node.line, format!("`{key}` is for alerts; take it out of the recording rule `{name}`"));
            }
        }
    }
    let alerting = Alerting { hold: hold.unwrap_or_default(), keep_firing: keep_firing.unwrap_or_default(), annotations };
    Rule { name, expression, labels, kind: if is_alert { Kind::Alerting(alerting) } else { Kind::Recording } }
}

fn name(record: Option<(String, u64)>, alert: Option<(String, u64)>, line: u64, mistakes: &mut Mistakes) -> String {
    match (record, alert) {
        (Some(_), Some((_, line))) => mistakes.add(line, "a rule has `record` or `alert`, not both; make it two rules"),
        (Some((record, line)), None) if !is_name(&record) => {
            mistakes.add(line, format!("`{record}` is no name of a metric; use letters, digits, `_` and `:`"));
        }
        (Some((name, _)), None) | (None, Some((name, _))) if !name.is_empty() => return name,
        _ => mistakes.add(line, "a rule needs a name; add `record: …` or `alert: …`"),
    }
    String::new()
}

fn expression(table: &mut Table<'_>, mistakes: &mut Mistakes) -> String {
    let Some((text, line)) = table.text_and_line("expr", mistakes).filter(|(text, _)| !text.trim().is_empty()) else {
        mistakes.add(table.line, "a rule needs an expression; add `expr: …`");
        return String::new();
    };
    promql::one_line(&text).unwrap_or_else(|error| {
        mistakes.add(line, format!("could not parse expression: {error}"));
        String::new()
    })
}

fn templates(pairs: Vec<(String, String)>, what: &str, line: u64, mistakes: &mut Mistakes) -> Vec<(String, Template, String)> {
    if pairs.len() > PAIRS_MAX {
        mistakes.add(line, format!("a rule may have {PAIRS_MAX} {what}s; this one has {}", pairs.len()));
    }
    let mut read = Vec::with_capacity(pairs.len());
    for (name, text) in pairs {
        if !is_label_name(&name) || name == "__name__" {
            mistakes.add(line, format!("`{name}` is no name of {what}s; use letters, digits and `_`"));
        }
        match Template::parse(&text) {
            Ok(template) => read.push((name, template, text)),
            Err(why) => mistakes.add(line, format!("the template of the {what} `{name}` is wrong: {why}")),
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Group>, Vec<String>> {
        parse(&[RuleText { name: "r.yml".into(), text: text.to_owned() }]).map_err(|RuleMistakes(told)| told)
    }

    #[test]
    fn a_file_is_read_whole() {
        let text = "groups:\n- name: a\n  interval: 30s\n  limit: 5\n  query_offset: 1m\n  rules:\n  - record: a:b\n    expr: sum(x)\n    \
                    labels: {l: v}\n  - alert: Bad\n    expr: 'x  >  1'\n    for: 5m\n    keep_firing_for: 1m\n    annotations:\n      \
                    summary: '{{ $labels.l }}'\n- name: b\n";
        let groups = parsed(text).unwrap();
        let first = &groups[0];
        assert_eq!((first.name.as_str(), first.limit, groups[1].rules.len()), ("a", 5, 0));
        assert_eq!((first.interval, first.query_offset), (Some(Duration::from_secs(30)), Duration::from_secs(60)));
        assert_eq!((first.rules[0].name.as_str(), first.rules[0].expression.as_str()), ("a:b", "sum(x)"));
        let alerting = first.rules[1].alerting().unwrap();
        assert_eq!((first.rules[1].expression.as_str(), alerting.hold.as_secs()), ("x > 1", 300));
        assert_eq!((alerting.keep_firing.as_secs(), alerting.annotations.len()), (60, 1));
    }

    #[test]
    fn mistakes_are_told_at_once_with_their_lines() {
        let text = "groups:\n- name: a\n  rules:\n  - record: a b\n    expr: sum(\n  - alert: B\n    record: b\n    expr: x\n  - alert: C\n    \
                    expr: x\n    labels: {'a-b': '{{ nope }}'}\n  - record: d\n    expr: x\n    for: 1m\n    fro: 1m\n- name: a\n  interval: x\n";
        let told = parsed(text).unwrap_err();
        let begins = |what: &str| assert!(told.iter().any(|told| told.starts_with(what)), "{what}\n{told:#?}");
        begins("r.yml:4: `a b` is no name of a metric");
        begins("r.yml:5: could not parse expression: ");
        begins("r.yml:6: a rule has `record` or `alert`, not both");
        begins("r.yml:9: `a-b` is no name of labels");
        begins("r.yml:9: the template of the label `a-b` is wrong: function \"nope\" not defined");
        begins("r.yml:12: `for` is for alerts; take it out of the recording rule `d`");
        begins("r.yml:15: a rule has no key `fro`");
        begins("r.yml:16: there are two groups with the name `a`");
        begins("r.yml:17: `interval: x` is not a duration");
        assert_eq!(told.len(), 9, "{told:#?}");
    }

    #[test]
    fn files_are_found_by_patterns() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("a.yml"), "groups: []\n").unwrap();
        std::fs::write(path("b.yml"), "groups: []\n").unwrap();
        let names = |texts: Vec<RuleText>| texts.into_iter().map(|text| text.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(read(&[path("*.yml"), path("a.yml")]).unwrap()), [path("a.yml"), path("b.yml")]);
        let RuleMistakes(told) = read(&[path("absent.yml"), path("*.absent")]).unwrap_err();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("absent.yml: there is no such rule file"), "{told:?}");
    }
}
