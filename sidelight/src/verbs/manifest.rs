//! The texts of one command: read from files, folders and stdin, joined, and traced back line by line.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use sidelight_mesh::config::{Parsed, TEXT_BYTES_MAX, parse_documents};
use sidelight_mesh::finding::Finding;

/// Largest text that is read, all files together: what one request may carry.
const BYTES_MAX: u64 = TEXT_BYTES_MAX as u64;
/// Namespace of objects that name none, where no flag does either.
pub(super) const DEFAULT_NAMESPACE: &str = "default";
/// Most files that a folder may bring.
const FILES_MAX: usize = 10_000;

/// All texts as one, in YAML documents.
#[derive(Debug, Default)]
pub struct Manifest {
    pub yaml: String,
    /// Name of each file and the line of `yaml` (from 1) at which it begins.
    parts: Vec<(String, u32)>,
}

impl Manifest {
    /// # Errors
    /// A file cannot be read, or all together are too large.
    pub fn read(files: &[String]) -> anyhow::Result<Self> {
        let mut manifest = Self::default();
        for file in files {
            if file == "-" {
                let mut text = String::new();
                std::io::stdin().take(BYTES_MAX + 1).read_to_string(&mut text).context("cannot read stdin")?;
                manifest.add("stdin", &text)?;
            } else {
                for path in yaml_files(Path::new(file))? {
                    let text = read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                    manifest.add(&path.display().to_string(), &text)?;
                }
            }
        }
        Ok(manifest)
    }

    /// Appends one file's text as documents of their own.
    ///
    /// # Errors
    /// The whole is too large.
    pub fn add(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        if !self.yaml.is_empty() {
            if !self.yaml.ends_with('\n') {
                self.yaml.push('\n');
            }
            self.yaml.push_str("---\n");
        }
        let line = u32::try_from(self.yaml.matches('\n').count() + 1).unwrap_or(u32::MAX);
        self.parts.push((name.to_owned(), line));
        self.yaml.push_str(text);
        if self.yaml.len() as u64 > BYTES_MAX {
            return Err(anyhow!("the files together are larger than {} KiB", BYTES_MAX >> 10));
        }
        Ok(())
    }

    /// `file:line:column` of a finding, or only the file when the line is not known.
    #[must_use]
    pub fn place(&self, finding: &Finding) -> String {
        let first = self.parts.first().map_or("?", |(name, _)| name.as_str());
        if finding.line == 0 {
            return first.to_owned();
        }
        let part = self.parts.iter().rev().find(|(_, begins)| *begins <= finding.line);
        let (name, begins) = part.map_or((first, 1), |(name, begins)| (name.as_str(), *begins));
        format!("{name}:{}:{}", finding.line + 1 - begins, finding.column.max(1))
    }

    /// Its objects, and what is wrong with the shape of the others.
    #[must_use]
    pub fn parse(&self, namespace: Option<&str>) -> Parsed {
        parse_documents(&self.yaml, namespace.unwrap_or(DEFAULT_NAMESPACE))
    }
}

fn yaml_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read folder `{}`", path.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|p| is_yaml(p)).collect();
    files.sort();
    match files.len() {
        0 => Err(anyhow!("folder `{}` has no .yaml, .yml or .json file", path.display())),
        1..=FILES_MAX => Ok(files),
        many => Err(anyhow!("folder `{}` has {many} files, more than {FILES_MAX}", path.display())),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sidelight_mesh::finding::Severity;

    use super::*;

    fn at(line: u32, column: u32) -> Finding {
        Finding {
            code: "SL0001".into(),
            severity: Severity::Error,
            message: String::new(),
            path: String::new(),
            line,
            column,
            length: 0,
            suggestions: Vec::new(),
        }
    }

    #[test]
    fn lines_are_traced_back_to_their_file() {
        let mut manifest = Manifest::default();
        manifest.add("a.yaml", "kind: A\nmetadata: {name: a}").unwrap();
        manifest.add("b.yaml", "kind: B\nmetadata: {name: b, namespace: n}\n").unwrap();
        assert_eq!(manifest.yaml, "kind: A\nmetadata: {name: a}\n---\nkind: B\nmetadata: {name: b, namespace: n}\n");
        assert_eq!(manifest.place(&at(2, 5)), "a.yaml:2:5");
        assert_eq!(manifest.place(&at(4, 1)), "b.yaml:1:1");
        assert_eq!(manifest.place(&at(0, 0)), "a.yaml");
    }

    #[test]
    fn findings_of_the_second_file_are_placed_there() {
        let mut manifest = Manifest::default();
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{name: http, port: 80}]}\n";
        manifest.add("a.yaml", service).unwrap();
        manifest.add("b.yaml", &service.replace("spec:", "spex:")).unwrap();
        let parsed = manifest.parse(Some("n"));
        assert_eq!(parsed.objects[0].object.metadata.namespace, "n");
        assert!(parsed.findings.iter().any(|finding| manifest.place(finding) == "b.yaml:4:1"), "{:?}", parsed.findings);
    }
}
