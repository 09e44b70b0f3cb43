//! Route tables: which virtual host and which route a request takes.

use std::sync::Arc;

use ahash::AHashMap;
use envoy_types::pb::envoy::config::core::v3::HeaderValueOption;
use envoy_types::pb::envoy::config::route::v3 as route;
use regex::Regex;

use super::fault::{self, Fault};
use super::headers::HeaderChanges;
use super::matcher::{HeaderMatch, QueryMatch, RequestView, full_regex};
use super::route_action::Action;
use super::value::At;
use super::{ConfigError, Notes};

#[derive(Debug)]
pub struct RouteTable {
    pub hosts: Vec<VirtualHost>,
    exact: AHashMap<String, usize>,
    /// `.example.com` of `*.example.com`, longest first.
    suffixes: Vec<(String, usize)>,
    /// `example.` of `example.*`, longest first.
    prefixes: Vec<(String, usize)>,
    any: Option<usize>,
    ignore_port: bool,
}

#[derive(Debug)]
pub struct VirtualHost {
    /// Read by tests and debug output.
    #[cfg_attr(not(test), allow(dead_code))]
    pub name: String,
    pub routes: Vec<Arc<Route>>,
    /// Plain HTTP is redirected to HTTPS.
    pub tls_required: bool,
}

#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    pub path: PathMatch,
    pub case_sensitive: bool,
    pub headers: Vec<HeaderMatch>,
    pub query: Vec<QueryMatch>,
    pub action: Action,
    /// Name of the span; the next proxy is told of it.
    pub operation: Option<Arc<str>>,
    pub request_headers: HeaderChanges,
    pub response_headers: HeaderChanges,
    pub fault: Option<Fault>,
    /// `x-envoy-attempt-count` goes upstream.
    pub tells_attempt: bool,
}

#[derive(Clone, Debug)]
pub enum PathMatch {
    Prefix(String),
    Exact(String),
    /// A prefix that ends at a `/` or at the end of the path.
    Segments(String),
    Regex(Regex),
    /// Only CONNECT requests.
    Connect,
    /// An extension that is not known here.
    Never,
}

// --- implementations ---

impl RouteTable {
    /// Nothing is found in it.
    pub fn empty() -> Self {
        Self {
            hosts: Vec::new(),
            exact: AHashMap::new(),
            suffixes: Vec::new(),
            prefixes: Vec::new(),
            any: None,
            ignore_port: false,
        }
    }

    pub fn compile(from: &route::RouteConfiguration, notes: &mut Notes) -> Result<Self, ConfigError> {
        let object = format!("route configuration `{}`", from.name);
        let global = Changes::compile(
            &object,
            (&from.request_headers_to_add, &from.request_headers_to_remove),
            (&from.response_headers_to_add, &from.response_headers_to_remove),
            notes,
        )?;
        let mut table = Self { ignore_port: from.ignore_port_in_host_matching, ..Self::empty() };
        for host in &from.virtual_hosts {
            let index = table.hosts.len();
            table.hosts.push(VirtualHost::compile(host, &global, notes)?);
            for domain in &host.domains {
                table.add_domain(&object, domain, index)?;
            }
        }
        let longest_first = |(text, _): &(String, usize)| std::cmp::Reverse(text.len());
        table.suffixes.sort_by_key(longest_first);
        table.prefixes.sort_by_key(longest_first);
        Ok(table)
    }

    fn add_domain(&mut self, object: &str, domain: &str, index: usize) -> Result<(), ConfigError> {
        let domain = domain.to_ascii_lowercase();
        let at = At { object, field: "virtual_hosts.domains" };
        let taken = if domain == "*" {
            self.any.replace(index).is_some()
        } else if let Some(suffix) = domain.strip_prefix('*') {
            push_new(&mut self.suffixes, suffix, index)
        } else if let Some(prefix) = domain.strip_suffix('*') {
            push_new(&mut self.prefixes, prefix, index)
        } else {
            self.exact.insert(domain.clone(), index).is_some()
        };
        match taken {
            true => Err(at.error(format!("only a single entry for domain `{domain}` is permitted"))),
            false => Ok(()),
        }
    }

    /// Exact, then the longest suffix, then the longest prefix, then `*`.
    pub fn host(&self, authority: &str) -> Option<&VirtualHost> {
        let authority = authority.to_ascii_lowercase();
        let wanted = match self.ignore_port {
            true => without_port(&authority),
            false => &authority,
        };
        let longer = |text: &str| wanted.len() > text.len();
        let index = self
            .exact
            .get(wanted)
            .or_else(|| {
                let mut all = self.suffixes.iter();
                all.find(|(text, _)| longer(text) && wanted.ends_with(text.as_str())).map(|(_, index)| index)
            })
            .or_else(|| {
                let mut all = self.prefixes.iter();
                all.find(|(text, _)| longer(text) && wanted.starts_with(text.as_str())).map(|(_, index)| index)
            })
            .or(self.any.as_ref())?;
        self.hosts.get(*index)
    }

    pub fn cluster_names(&self) -> Vec<Arc<str>> {
        let routes = self.hosts.iter().flat_map(|host| &host.routes);
        routes
            .filter_map(|route| match &route.action {
                Action::Forward(forward) => Some(forward.target.cluster_names()),
                _ => None,
            })
            .flatten()
            .collect()
    }
}

fn push_new(list: &mut Vec<(String, usize)>, text: &str, index: usize) -> bool {
    let taken = list.iter().any(|(other, _)| other == text);
    list.push((text.to_owned(), index));
    taken
}

/// The authority without `:port`; brackets of IPv6 addresses stay.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => authority,
    }
}

impl VirtualHost {
    fn compile(from: &route::VirtualHost, global: &Changes, notes: &mut Notes) -> Result<Self, ConfigError> {
        let object = format!("virtual host `{}`", from.name);
        if from.domains.is_empty() {
            return Err(ConfigError::new(object, "domains", "at least one is needed"));
        }
        let changes = Changes::compile(
            &object,
            (&from.request_headers_to_add, &from.request_headers_to_remove),
            (&from.response_headers_to_add, &from.response_headers_to_remove),
            notes,
        )?
        .then(global);
        let routes = from
            .routes
            .iter()
            .enumerate()
            .map(|(index, route)| {
                let object = format!("virtual host `{}` route {index} `{}`", from.name, route.name);
                Route::compile(&object, route, from, &changes, notes).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { name: from.name.clone(), routes, tls_required: from.require_tls != 0 })
    }

    /// The first route whose conditions all hold.
    pub fn route(&self, request: &RequestView<'_>) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.matches(request))
    }
}

/// Header changes in both directions.
#[derive(Default)]
struct Changes {
    request: HeaderChanges,
    response: HeaderChanges,
}

type Both<'a> = (&'a [HeaderValueOption], &'a [String]);

impl Changes {
    fn compile(object: &str, request: Both<'_>, response: Both<'_>, notes: &mut Notes) -> Result<Self, ConfigError> {
        let at = |field| At { object, field };
        Ok(Self {
            request: HeaderChanges::compile(at("request_headers_to_add"), request.0, request.1, notes)?,
            response: HeaderChanges::compile(at("response_headers_to_add"), response.0, response.1, notes)?,
        })
    }

    fn then(&self, less_specific: &Self) -> Self {
        Self { request: self.request.then(&less_specific.request), response: self.response.then(&less_specific.response) }
    }
}

impl Route {
    fn compile(
        object: &str,
        from: &route::Route,
        host: &route::VirtualHost,
        outer: &Changes,
        notes: &mut Notes,
    ) -> Result<Self, ConfigError> {
        let at = |field| At { object, field };
        let Some(conditions) = from.r#match.as_ref() else {
            return Err(at("match").error("is needed"));
        };
        if conditions.runtime_fraction.is_some() || !conditions.dynamic_metadata.is_empty() {
            notes.add("route conditions on runtime_fraction and dynamic_metadata are not honoured");
        }
        let changes = Changes::compile(
            object,
            (&from.request_headers_to_add, &from.request_headers_to_remove),
            (&from.response_headers_to_add, &from.response_headers_to_remove),
            notes,
        )?
        .then(outer);
        let decorator = from.decorator.as_ref();
        if decorator.is_some_and(|d| d.propagate.as_ref().is_some_and(|p| !p.value)) {
            notes.add("decorator.propagate: false is not honoured: the operation travels");
        }
        let operation = decorator.map(|d| d.operation.as_str()).filter(|operation| !operation.is_empty());
        let fault = from.typed_per_filter_config.get(fault::FILTER).or_else(|| host.typed_per_filter_config.get(fault::FILTER));
        Ok(Self {
            name: from.name.as_str().into(),
            path: PathMatch::compile(at("match"), conditions, notes)?,
            case_sensitive: conditions.case_sensitive.as_ref().is_none_or(|c| c.value),
            headers: conditions
                .headers
                .iter()
                .map(|header| HeaderMatch::compile(at("match.headers"), header, notes))
                .collect::<Result<_, _>>()?,
            query: conditions
                .query_parameters
                .iter()
                .map(|query| QueryMatch::compile(at("match.query_parameters"), query, notes))
                .collect::<Result<_, _>>()?,
            action: Action::compile(object, from, notes)?,
            operation: operation.map(Arc::from),
            request_headers: changes.request,
            response_headers: changes.response,
            fault: fault.map(|any| Fault::compile(object, any, notes)).transpose()?,
            tells_attempt: host.include_request_attempt_count,
        })
    }

    pub fn matches(&self, request: &RequestView<'_>) -> bool {
        self.path.matches(request, self.case_sensitive)
            && self.headers.iter().all(|header| header.matches(request))
            && self.query.iter().all(|query| query.matches(request))
    }
}

impl PathMatch {
    fn compile(at: At<'_>, from: &route::RouteMatch, notes: &mut Notes) -> Result<Self, ConfigError> {
        use route::route_match::PathSpecifier as Path;
        Ok(match from.path_specifier.as_ref() {
            Some(Path::Prefix(prefix)) => Self::Prefix(prefix.clone()),
            Some(Path::Path(path)) => Self::Exact(path.clone()),
            Some(Path::SafeRegex(regex)) => Self::Regex(full_regex(at, &regex.regex)?),
            Some(Path::PathSeparatedPrefix(prefix)) => Self::Segments(prefix.clone()),
            Some(Path::ConnectMatcher(_)) => Self::Connect,
            Some(Path::PathMatchPolicy(_)) => {
                notes.add("path_match_policy is not honoured: it matches nothing");
                Self::Never
            }
            None => return Err(at.error("a path condition is needed")),
        })
    }

    fn matches(&self, request: &RequestView<'_>, case_sensitive: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Connect => request.method == "CONNECT",
            Self::Regex(regex) => regex.is_match(request.path),
            Self::Prefix(prefix) => starts_with(request.path, prefix, case_sensitive),
            Self::Exact(path) => path.len() == request.path.len() && starts_with(request.path, path, case_sensitive),
            Self::Segments(prefix) => {
                starts_with(request.path, prefix, case_sensitive)
                    && matches!(request.path.as_bytes().get(prefix.len()), None | Some(b'/'))
            }
        }
    }

    /// How much of a path a prefix rewrite replaces.
    pub fn matched_len(&self, path: &str) -> usize {
        match self {
            Self::Prefix(text) | Self::Segments(text) => text.len().min(path.len()),
            Self::Exact(_) | Self::Regex(_) | Self::Connect | Self::Never => path.len(),
        }
    }
}

fn starts_with(path: &str, prefix: &str, case_sensitive: bool) -> bool {
    match path.as_bytes().get(..prefix.len()) {
        Some(head) if case_sensitive => head == prefix.as_bytes(),
        Some(head) => head.eq_ignore_ascii_case(prefix.as_bytes()),
        None => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "route_tests.rs"]
mod tests;
