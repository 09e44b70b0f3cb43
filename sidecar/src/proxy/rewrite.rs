//! Where a request goes after rewriting, and where a redirect points to.

use crate::config::route::{Route, without_port};
use crate::config::route_action::{PathRewrite, Redirect, RedirectPath};

/// The new path with the old query; nothing when nothing changes.
pub fn rewrite_path(route: &Route, rewrite: &PathRewrite, path_and_query: &str) -> Option<String> {
    let (path, query) = split(path_and_query);
    let new = apply(route, rewrite, path);
    (new != path).then(|| join(&new, query))
}

fn apply(route: &Route, rewrite: &PathRewrite, path: &str) -> String {
    match rewrite {
        PathRewrite::Prefix(prefix) => {
            let rest = path.get(route.path.matched_len(path)..).unwrap_or_default();
            format!("{prefix}{rest}")
        }
        PathRewrite::Regex(regex, substitution) => regex.replace_all(path, substitution.as_str()).into_owned(),
    }
}

/// The `location` of a redirect of this request.
pub fn location(route: &Route, to: &Redirect, authority: &str, path_and_query: &str) -> String {
    let (path, query) = split(path_and_query);
    let scheme = to.scheme.as_deref().unwrap_or("http");
    let host = to.host.as_deref().unwrap_or(authority);
    let host = match to.port {
        // Ports that the scheme implies are not written.
        Some(port) if matches!((scheme, port), ("http", 80) | ("https", 443)) => without_port(host).to_owned(),
        Some(port) => format!("{}:{port}", without_port(host)),
        // A port of the old scheme makes no sense in the new one.
        None if to.scheme.is_some() && to.host.is_none() => strip_standard_port(host).to_owned(),
        None => host.to_owned(),
    };
    let query = query.filter(|_| !to.strip_query);
    let target = match &to.path {
        RedirectPath::Keep => join(path, query),
        RedirectPath::Replace(new) if new.contains('?') => new.clone(),
        RedirectPath::Replace(new) => join(new, query),
        RedirectPath::Rewrite(rewrite) => join(&apply(route, rewrite, path), query),
    };
    format!("{scheme}://{host}{target}")
}

fn strip_standard_port(host: &str) -> &str {
    host.strip_suffix(":80").or_else(|| host.strip_suffix(":443")).unwrap_or(host)
}

fn split(path_and_query: &str) -> (&str, Option<&str>) {
    match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    }
}

fn join(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::config::route::PathMatch;
    use http::StatusCode;

    fn route(path: PathMatch) -> Route {
        Route {
            name: "r".into(),
            path,
            case_sensitive: true,
            headers: vec![],
            query: vec![],
            action: crate::config::route_action::Action::Direct(StatusCode::OK, bytes::Bytes::new()),
            operation: None,
            request_headers: Default::default(),
            response_headers: Default::default(),
            fault: None,
            tells_attempt: false,
        }
    }

    fn rewritten(path: PathMatch, rewrite: PathRewrite, of: &str) -> Option<String> {
        rewrite_path(&route(path), &rewrite, of)
    }

    #[test]
    fn prefixes_exact_paths_and_patterns() {
        let to = |text: &str| PathRewrite::Prefix(text.into());
        assert_eq!(rewritten(PathMatch::Prefix("/rate".into()), to("/ratings"), "/rate/1?a=b"), Some("/ratings/1?a=b".into()));
        assert_eq!(rewritten(PathMatch::Exact("/old".into()), to("/new"), "/old?x"), Some("/new?x".into()));
        assert_eq!(rewritten(PathMatch::Prefix("/a".into()), to("/a"), "/a/b"), None);
        let regex = PathRewrite::Regex(regex::Regex::new("^/v1/(.*)$").unwrap(), "/v2/${1}".into());
        assert_eq!(rewritten(PathMatch::Prefix("/".into()), regex, "/v1/x?q"), Some("/v2/x?q".into()));
    }

    fn redirect() -> Redirect {
        Redirect {
            status: StatusCode::MOVED_PERMANENTLY,
            host: None,
            port: None,
            scheme: None,
            path: RedirectPath::Keep,
            strip_query: false,
        }
    }

    #[test]
    fn redirects() {
        let route = route(PathMatch::Prefix("/old".into()));
        let at = |to: &Redirect| location(&route, to, "shop:80", "/old/x?q=1");
        assert_eq!(at(&redirect()), "http://shop:80/old/x?q=1");
        let secure = Redirect { scheme: Some("https".into()), ..redirect() };
        assert_eq!(at(&secure), "https://shop/old/x?q=1");
        let elsewhere =
            Redirect { host: Some("other".into()), path: RedirectPath::Replace("/new".into()), strip_query: true, ..redirect() };
        assert_eq!(at(&elsewhere), "http://other/new");
        let port = Redirect {
            port: Some(8443),
            scheme: Some("https".into()),
            path: RedirectPath::Rewrite(PathRewrite::Prefix("/n".into())),
            ..redirect()
        };
        assert_eq!(at(&port), "https://shop:8443/n/x?q=1");
    }
}
