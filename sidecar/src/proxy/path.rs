//! Paths in one form, so that a route cannot be dodged by writing its path differently.

use std::borrow::Cow;

/// Resolves `.` and `..` segments (also written as `%2e`) and turns backslashes into slashes; the query stays.
/// Nothing for a path that climbs above its root or does not begin with a slash.
pub fn normalize(path_and_query: &str) -> Option<Cow<'_, str>> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') {
        // `*` of OPTIONS.
        return (path == "*").then_some(Cow::Borrowed(path_and_query));
    }
    if is_normal(path) {
        return Some(Cow::Borrowed(path_and_query));
    }
    let path = path.replace('\\', "/");
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.get(1..).unwrap_or_default().split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match Dots::of(segment) {
            Dots::None => kept.push(segment),
            Dots::Here if last => kept.push(""),
            Dots::Here => {}
            Dots::Up => {
                kept.pop()?;
                if last {
                    kept.push("");
                }
            }
        }
    }
    let mut normal = String::with_capacity(path_and_query.len());
    for segment in &kept {
        normal.push('/');
        normal.push_str(segment);
    }
    if kept.is_empty() {
        normal.push('/');
    }
    if let Some(query) = query {
        normal.push('?');
        normal.push_str(query);
    }
    Some(Cow::Owned(normal))
}

fn is_normal(path: &str) -> bool {
    !path.contains('\\') && path.split('/').all(|segment| Dots::of(segment) == Dots::None)
}

#[derive(PartialEq, Eq)]
enum Dots {
    None,
    Here,
    Up,
}

impl Dots {
    fn of(segment: &str) -> Self {
        match segment.len() {
            1..=6 if segment.starts_with(['.', '%']) => match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
                "." => Self::Here,
                ".." => Self::Up,
                _ => Self::None,
            },
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, expected: Option<&str>) {
        assert_eq!(normalize(from).as_deref(), expected, "{from}");
    }

    #[test]
    fn dots_are_resolved() {
        check("/a/b?x=../y", Some("/a/b?x=../y"));
        check("/a/../b", Some("/b"));
        check("/a/./b/.", Some("/a/b/"));
        check("/a/b/..", Some("/a/"));
        check("/a/%2E%2e/b?q", Some("/b?q"));
        check("/a\\b/..\\c", Some("/a/c"));
        check("/..", None);
        check("/a/../../b", None);
        check("/.hidden/...", Some("/.hidden/..."));
        check("/", Some("/"));
        check("/a//b", Some("/a//b"));
        check("/a/..", Some("/"));
        check("*", Some("*"));
        check("x", None);
    }

    proptest::proptest! {
        #[test]
        fn a_normal_path_is_left_alone(path in "/[a-z./%\\\\2eE?]{0,40}") {
            if let Some(once) = normalize(&path) {
                proptest::prop_assert_eq!(normalize(&once), Some(once.clone()));
            }
        }
    }
}
