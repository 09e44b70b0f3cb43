//! Host names: short and full forms, wildcards, and the domains of virtual hosts.

use std::cmp::Ordering;
use std::net::IpAddr;

/// Full name of a host as an object of `namespace` means it. Names with dots, wildcards and addresses stay as they are.
#[must_use]
pub fn resolve(host: &str, namespace: &str, domain: &str) -> String {
    if host.is_empty() || host.contains(['.', '*', ':']) {
        return host.to_owned();
    }
    service_fqdn(host, namespace, domain)
}

/// `<name>.<namespace>.svc.<domain>`
#[must_use]
pub fn service_fqdn(name: &str, namespace: &str, domain: &str) -> String {
    format!("{name}.{namespace}.svc.{domain}")
}

/// Name and namespace of a service's full name; `None` for a host outside the mesh's domain.
#[must_use]
pub fn split_fqdn<'a>(host: &'a str, domain: &str) -> Option<(&'a str, &'a str)> {
    let front = host.strip_suffix(domain)?.strip_suffix(".svc.")?;
    let (name, namespace) = front.split_once('.')?;
    (!name.is_empty() && !namespace.is_empty() && !namespace.contains('.')).then_some((name, namespace))
}

/// Whether a pattern (`*`, `*.example.com`, or a plain name) covers a host. Case does not matter.
#[must_use]
pub fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && ends_with(host, suffix) || host.eq_ignore_ascii_case(pattern),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// Whether some host is covered by both patterns.
#[must_use]
pub fn overlap(a: &str, b: &str) -> bool {
    match (a.strip_prefix('*'), b.strip_prefix('*')) {
        (Some(a), Some(b)) => ends_with(a, b) || ends_with(b, a),
        _ => matches(a, b) || matches(b, a),
    }
}

/// Orders patterns from the most specific to the least: plain names, then longer wildcards before shorter.
#[must_use]
pub fn by_specificity(a: &str, b: &str) -> Ordering {
    let wild = |host: &str| host.starts_with('*');
    wild(a).cmp(&wild(b)).then_with(|| b.len().cmp(&a.len()))
}

/// Names under which a proxy in `namespace` may call a service, most specific first: the FQDN, and with a dot behind;
/// the short name in the service's own namespace; `name.namespace.svc`; `name.namespace`. Hosts outside the mesh's
/// domain have only their own name.
#[must_use]
pub fn domains(fqdn: &str, namespace: &str, domain: &str) -> Vec<String> {
    let Some((name, service_namespace)) = split_fqdn(fqdn, domain) else {
        return vec![fqdn.to_owned()];
    };
    let mut names = vec![fqdn.to_owned(), format!("{fqdn}.")];
    if namespace == service_namespace {
        names.push(name.to_owned());
    }
    names.push(format!("{name}.{service_namespace}.svc"));
    names.push(format!("{name}.{service_namespace}"));
    names
}

/// The same with `:<port>` behind each, as an explicit proxy sees them; for port 80 also without.
#[must_use]
pub fn domains_with_port(fqdn: &str, port: u16, namespace: &str, domain: &str) -> Vec<String> {
    let names = domains(fqdn, namespace, domain);
    let with_port = names.iter().map(|name| format!("{name}:{port}"));
    if port == 80 { names.iter().cloned().chain(with_port).collect() } else { with_port.collect() }
}

/// Of a virtual host's domains, how well the best one fits: smaller is better. Exact, then the longest `*.x`, then the
/// longest `x.*`, then `*`.
#[must_use]
pub fn domain_rank(domain: &str, host: &str) -> Option<(u8, usize)> {
    if domain == "*" {
        return Some((3, 0));
    }
    if let Some(suffix) = domain.strip_prefix('*') {
        return (host.len() > suffix.len() && ends_with(host, suffix)).then(|| (1, usize::MAX - suffix.len()));
    }
    if let Some(prefix) = domain.strip_suffix('*') {
        return (host.len() > prefix.len() && starts_with(host, prefix)).then(|| (2, usize::MAX - prefix.len()));
    }
    domain.eq_ignore_ascii_case(host).then_some((0, 0))
}

/// Whether a text is an address rather than a name.
#[must_use]
pub fn is_ip(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

fn ends_with(host: &str, suffix: &str) -> bool {
    host.len().checked_sub(suffix.len()).and_then(|at| host.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(suffix))
}

fn starts_with(host: &str, prefix: &str) -> bool {
    host.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "cluster.local";

    #[test]
    fn only_names_without_dots_are_completed() {
        let resolved = |host| resolve(host, "bookinfo", DOMAIN);
        assert_eq!(resolved("reviews"), "reviews.bookinfo.svc.cluster.local");
        for host in ["reviews.bookinfo", "example.com", "*", "*.example.com", "10.0.0.1", "::1", ""] {
            assert_eq!(resolved(host), host);
        }
    }

    #[test]
    fn full_names_are_split() {
        assert_eq!(split_fqdn("reviews.bookinfo.svc.cluster.local", DOMAIN), Some(("reviews", "bookinfo")));
        for host in ["reviews.bookinfo", "a.b.c.svc.cluster.local", ".b.svc.cluster.local", "svc.cluster.local", ""] {
            assert_eq!(split_fqdn(host, DOMAIN), None, "{host}");
        }
    }

    #[test]
    fn wildcards_cover_what_stands_before_them() {
        assert!(matches("*", "reviews"));
        assert!(matches("*.example.com", "a.Example.com"));
        assert!(matches("Reviews", "reviews"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*.example.com", ".example.com"));
        assert!(!matches("reviews", "ratings"));
    }

    #[test]
    fn overlapping_patterns_are_seen() {
        assert!(overlap("*", "*.example.com"));
        assert!(overlap("*.com", "*.example.com"));
        assert!(overlap("a.example.com", "*.example.com"));
        assert!(!overlap("*.example.com", "*.example.org"));
        assert!(!overlap("a", "b"));
    }

    #[test]
    fn the_most_specific_pattern_comes_first() {
        let mut hosts = vec!["*", "*.com", "a.com", "*.a.com"];
        hosts.sort_by(|a, b| by_specificity(a, b));
        assert_eq!(hosts, ["a.com", "*.a.com", "*.com", "*"]);
    }

    #[test]
    fn domains_depend_on_the_callers_namespace() {
        let fqdn = "reviews.bookinfo.svc.cluster.local";
        assert_eq!(
            domains(fqdn, "bookinfo", DOMAIN),
            [fqdn, "reviews.bookinfo.svc.cluster.local.", "reviews", "reviews.bookinfo.svc", "reviews.bookinfo"]
        );
        assert_eq!(
            domains(fqdn, "other", DOMAIN),
            [fqdn, "reviews.bookinfo.svc.cluster.local.", "reviews.bookinfo.svc", "reviews.bookinfo"]
        );
        assert_eq!(domains("example.com", "bookinfo", DOMAIN), ["example.com"]);
        assert_eq!(domains_with_port("example.com", 80, "x", DOMAIN), ["example.com", "example.com:80"]);
        assert_eq!(domains_with_port("example.com", 443, "x", DOMAIN), ["example.com:443"]);
    }

    #[test]
    fn the_best_domain_wins() {
        let best = |domains: &[&'static str], host: &str| {
            let ranked = domains.iter().filter_map(|d| Some((domain_rank(d, host)?, *d)));
            ranked.min().map(|(_, d)| d)
        };
        let all = ["*", "www.*", "www.example.*", "*.com", "*.example.com", "www.example.com"];
        assert_eq!(best(&all, "WWW.example.com"), Some("www.example.com"));
        assert_eq!(best(&all[..5], "www.example.com"), Some("*.example.com"));
        assert_eq!(best(&all[..3], "www.example.com"), Some("www.example.*"));
        assert_eq!(best(&all, "other"), Some("*"));
        assert_eq!(best(&all[1..], "other"), None);
    }
}
