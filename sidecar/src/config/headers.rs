//! Header changes that routes, virtual hosts and weights ask for, compiled to be applied in one pass.

use envoy_types::pb::envoy::config::core::v3 as core;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::value::At;
use super::{ConfigError, Notes};

#[derive(Clone, Debug, Default)]
pub struct HeaderChanges {
    add: Vec<(HeaderName, HeaderValue, Append)>,
    remove: Vec<HeaderName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Append {
    Always,
    IfAbsent,
    Overwrite,
    OverwriteIfPresent,
}

impl HeaderChanges {
    pub fn compile(
        at: At<'_>,
        add: &[core::HeaderValueOption],
        remove: &[String],
        notes: &mut Notes,
    ) -> Result<Self, ConfigError> {
        let add = add.iter().filter_map(|option| compile_addition(at, option, notes).transpose()).collect::<Result<_, _>>()?;
        let remove = remove
            .iter()
            .map(|name| HeaderName::from_bytes(name.as_bytes()).map_err(|_| at.error(format!("`{name}` is not a header name"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { add, remove })
    }

    /// Envoy goes from the most specific place to the least, so a later overwrite wins.
    pub fn then(&self, less_specific: &Self) -> Self {
        let mut all = self.clone();
        all.add.extend_from_slice(&less_specific.add);
        all.remove.extend_from_slice(&less_specific.remove);
        all
    }

    /// Removals come first, as in Envoy: what is added afterwards stays.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value, append) in &self.add {
            let present = headers.contains_key(name);
            match append {
                Append::Always => {
                    headers.append(name, value.clone());
                }
                Append::IfAbsent if present => {}
                Append::OverwriteIfPresent if !present => {}
                _ => {
                    headers.insert(name, value.clone());
                }
            }
        }
    }
}

fn compile_addition(
    at: At<'_>,
    option: &core::HeaderValueOption,
    notes: &mut Notes,
) -> Result<Option<(HeaderName, HeaderValue, Append)>, ConfigError> {
    use core::header_value_option::HeaderAppendAction as Action;
    let Some(header) = option.header.as_ref() else {
        return Err(at.error("an entry without a header"));
    };
    if header.key.starts_with(':') {
        return Err(at.error(format!("`{}` must not be changed here", header.key)));
    }
    let name =
        HeaderName::from_bytes(header.key.as_bytes()).map_err(|_| at.error(format!("`{}` is not a header name", header.key)))?;
    let text = match header.raw_value.is_empty() {
        true => header.value.as_bytes(),
        false => header.raw_value.as_slice(),
    };
    let text = String::from_utf8_lossy(text);
    if text.replace("%%", "").contains('%') {
        notes.add("header values with substitution operators are added as written");
    }
    let value = HeaderValue::from_str(&text.replace("%%", "%"))
        .map_err(|_| at.error(format!("`{}` has a value that no header may have", header.key)))?;
    if value.is_empty() && !option.keep_empty_value {
        return Ok(None);
    }
    // The deprecated flag decides where it is set.
    let append = match option.append.as_ref().map(|flag| flag.value) {
        Some(false) => Append::Overwrite,
        Some(true) => Append::Always,
        None => match Action::try_from(option.append_action) {
            Ok(Action::AddIfAbsent) => Append::IfAbsent,
            Ok(Action::OverwriteIfExistsOrAdd) => Append::Overwrite,
            Ok(Action::OverwriteIfExists) => Append::OverwriteIfPresent,
            _ => Append::Always,
        },
    };
    Ok(Some((name, value, append)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn add(key: &str, value: &str, append_action: i32) -> core::HeaderValueOption {
        core::HeaderValueOption {
            header: Some(core::HeaderValue { key: key.into(), value: value.into(), raw_value: vec![] }),
            append_action,
            ..Default::default()
        }
    }

    #[test]
    fn removal_then_every_way_to_add() {
        let at = At { object: "route", field: "request_headers_to_add" };
        let changes = HeaderChanges::compile(
            at,
            &[add("a", "2", 0), add("b", "x", 1), add("c", "new", 2), add("d", "never", 3)],
            &["gone".into()],
            &mut Notes::default(),
        )
        .unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "1"), ("b", "kept"), ("c", "old"), ("gone", "1")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        changes.apply(&mut headers);
        let a: Vec<_> = headers.get_all("a").iter().collect();
        assert_eq!(a, ["1", "2"]);
        assert_eq!(headers["b"], "kept");
        assert_eq!(headers["c"], "new");
        assert!(!headers.contains_key("d"));
        assert!(!headers.contains_key("gone"));
    }
}
