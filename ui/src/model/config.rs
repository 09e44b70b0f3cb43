//! What the configuration pages show: filtered rows, badges, templates, how far a change has come.

use sidelight_api::config::{ObjectSummary, Rollout};

/// Kinds in the order in which the list's side shows them, with the letters of their badge.
pub const KINDS: [(&str, &str); 4] = [("VirtualService", "VS"), ("DestinationRule", "DR"), ("Gateway", "GW"), ("Service", "S")];

/// Letters that stand for a kind.
pub fn badge(kind: &str) -> &str {
    KINDS.iter().find(|(name, _)| *name == kind).map_or("?", |(_, letters)| letters)
}

/// What the list is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub kind: Option<String>,
    /// Words that must all occur in name, namespace, kind, hosts or author; `has:error` and `has:warning` look at findings.
    pub text: String,
}

impl Filter {
    pub fn keeps(&self, object: &ObjectSummary) -> bool {
        let kind_fits = self.kind.as_ref().is_none_or(|kind| *kind == object.key.kind);
        kind_fits && self.text.split_whitespace().all(|word| word_fits(object, &word.to_lowercase()))
    }
}

fn word_fits(object: &ObjectSummary, word: &str) -> bool {
    match word {
        "has:error" => return object.errors > 0,
        "has:warning" => return object.warnings > 0,
        _ => {}
    }
    let texts = [&object.key.name, &object.key.namespace, &object.key.kind, &object.author];
    texts.into_iter().chain(&object.hosts).any(|text| text.to_lowercase().contains(word))
}

/// Worst first, then by namespace, kind and name.
pub fn sort(objects: &mut [ObjectSummary]) {
    objects.sort_by(|a, b| {
        let rank = |o: &ObjectSummary| (std::cmp::Reverse(o.errors), std::cmp::Reverse(o.warnings));
        rank(a).cmp(&rank(b)).then_with(|| key(a).cmp(&key(b)))
    });
}

fn key(object: &ObjectSummary) -> (&str, &str, &str) {
    (&object.key.namespace, &object.key.kind, &object.key.name)
}

/// How far a saved object has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No proxy is concerned.
    Nowhere,
    Everywhere,
    Waiting,
    Refused,
}

pub fn progress(rollout: &Rollout) -> Progress {
    if rollout.proxies == 0 {
        Progress::Nowhere
    } else if rollout.refused > 0 {
        Progress::Refused
    } else if rollout.applied < rollout.proxies {
        Progress::Waiting
    } else {
        Progress::Everywhere
    }
}

/// Address of an object's page.
pub fn page(kind: &str, namespace: &str, name: &str) -> String {
    format!("/config/{}/{namespace}/{name}", kind.to_lowercase())
}

/// Address of an object in the API.
pub fn endpoint(kind: &str, namespace: &str, name: &str) -> String {
    format!("/api/config/{kind}/{namespace}/{name}")
}

/// A first text for a new object of a kind.
pub fn template(kind: &str, namespace: &str) -> String {
    let body = match kind {
        "DestinationRule" => DESTINATION_RULE,
        "Gateway" => GATEWAY,
        "Service" => SERVICE,
        _ => VIRTUAL_SERVICE,
    };
    body.replace("NAMESPACE", namespace)
}

const VIRTUAL_SERVICE: &str = "apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: my-service
  namespace: NAMESPACE
spec:
  hosts:
  - my-service
  http:
  - route:
    - destination:
        host: my-service
";

const DESTINATION_RULE: &str = "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: my-service
  namespace: NAMESPACE
spec:
  host: my-service
  subsets:
  - name: v1
    labels:
      version: v1
";

const GATEWAY: &str = "apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: my-gateway
  namespace: NAMESPACE
spec:
  selector:
    istio: ingressgateway
  servers:
  - port:
      number: 8080
      name: http
      protocol: HTTP
    hosts:
    - my-service.example.com
";

const SERVICE: &str = "apiVersion: v1
kind: Service
metadata:
  name: my-service
  namespace: NAMESPACE
spec:
  selector:
    app: my-service
  ports:
  - name: http
    port: 8080
";

#[cfg(test)]
mod tests {
    use sidelight_api::config::ObjectKey;

    use super::*;

    fn object(kind: &str, name: &str, errors: u32, warnings: u32) -> ObjectSummary {
        ObjectSummary {
            key: ObjectKey { kind: kind.into(), namespace: "bookinfo".into(), name: name.into() },
            api_version: "networking.istio.io/v1".into(),
            revision: 1,
            updated_at_ms: 0,
            author: "alice".into(),
            message: String::new(),
            errors,
            warnings,
            worst: None,
            hosts: vec!["reviews".into()],
            rollout: Rollout::default(),
        }
    }

    #[test]
    fn filters_by_kind_words_and_findings() {
        let reviews = object("VirtualService", "reviews", 1, 0);
        let keeps = |kind: Option<&str>, text: &str| Filter { kind: kind.map(Into::into), text: text.into() }.keeps(&reviews);
        assert!(keeps(None, ""));
        assert!(keeps(Some("VirtualService"), "rev ALICE"));
        assert!(!keeps(Some("Gateway"), ""));
        assert!(keeps(None, "has:error"));
        assert!(!keeps(None, "has:warning"));
        assert!(!keeps(None, "rev ratings"));
    }

    #[test]
    fn the_worst_objects_come_first() {
        let mut objects = vec![object("Gateway", "a", 0, 0), object("Gateway", "b", 0, 2), object("Gateway", "c", 1, 0)];
        sort(&mut objects);
        let names: Vec<_> = objects.iter().map(|o| o.key.name.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"]);
    }

    #[test]
    fn a_refusal_outweighs_a_proxy_that_waits() {
        let rollout = |applied, waiting, refused| Rollout { proxies: applied + waiting + refused, applied, waiting, refused };
        assert_eq!(progress(&rollout(0, 0, 0)), Progress::Nowhere);
        assert_eq!(progress(&rollout(7, 0, 0)), Progress::Everywhere);
        assert_eq!(progress(&rollout(6, 1, 0)), Progress::Waiting);
        assert_eq!(progress(&rollout(5, 1, 1)), Progress::Refused);
    }

    #[test]
    fn templates_name_the_namespace() {
        for (kind, _) in KINDS {
            let text = template(kind, "shop");
            assert!(text.contains(&format!("kind: {kind}\n")) && text.contains("namespace: shop\n"), "{text}");
        }
    }
}
