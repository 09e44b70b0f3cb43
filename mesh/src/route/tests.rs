//! Selection rules on small configurations.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{MeshSettings, Spec, parse_documents};

const VS: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: ";
const DR: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: ";
const REVIEWS: &str = "reviews.bookinfo.svc.cluster.local";

/// Objects in the order of their age.
fn config(documents: &[String]) -> MeshConfig {
    let mut config = MeshConfig::new(MeshSettings::default());
    for (age, document) in documents.iter().enumerate() {
        let parsed = parse_documents(document, "bookinfo");
        assert_eq!(parsed.findings, [], "{document}");
        for object in parsed.objects {
            config.insert(object.into_config(i64::try_from(age).unwrap()));
        }
    }
    config
}

fn chosen(documents: &[String], viewer: &str) -> Option<String> {
    let config = config(documents);
    virtual_service_for(&config, REVIEWS, viewer).map(|(object, _)| object.object.metadata.name.clone())
}

#[test]
fn the_oldest_virtual_service_wins() {
    let documents =
        [format!("{VS}{{name: z}}\nspec: {{hosts: [reviews]}}"), format!("{VS}{{name: a}}\nspec: {{hosts: [{REVIEWS}]}}")];
    assert_eq!(chosen(&documents, "bookinfo").as_deref(), Some("z"));
}

#[test]
fn specific_hosts_win_over_wildcards_and_private_rules_over_public() {
    let wildcard = format!("{VS}{{name: wildcard}}\nspec: {{hosts: ['*.bookinfo.svc.cluster.local']}}");
    let public = format!("{VS}{{name: public}}\nspec: {{hosts: [reviews]}}");
    let private = format!("{VS}{{name: private, namespace: other}}\nspec: {{hosts: [{REVIEWS}], exportTo: ['.']}}");
    let named = format!("{VS}{{name: named}}\nspec: {{hosts: [reviews], exportTo: [other, third]}}");
    assert_eq!(chosen(&[wildcard.clone(), public.clone()], "other").as_deref(), Some("public"));
    let all = [wildcard, public, private, named];
    assert_eq!(chosen(&all, "other").as_deref(), Some("private"));
    assert_eq!(chosen(&all, "third").as_deref(), Some("named"));
    assert_eq!(chosen(&all, "bookinfo").as_deref(), Some("public"));
}

#[test]
fn gateway_only_rules_are_not_for_sidecars() {
    let gateway = format!("{VS}{{name: a}}\nspec: {{hosts: [reviews], gateways: [g]}}");
    let both = format!("{VS}{{name: b}}\nspec: {{hosts: [reviews], gateways: [g, mesh]}}");
    assert_eq!(chosen(std::slice::from_ref(&gateway), "bookinfo"), None);
    assert_eq!(chosen(&[gateway, both], "bookinfo").as_deref(), Some("b"));
}

#[test]
fn matches_are_scoped_to_port_gateway_and_source() {
    let condition = |text: &str| {
        let config = config(&[format!("{VS}{{name: a}}\nspec: {{hosts: [a], http: [{{match: [{text}]}}]}}")]);
        config.virtual_services()[0].1.http[0].matches[0].clone()
    };
    let labels = [("app".to_owned(), "ratings".to_owned())].into();
    let viewer = Viewer { namespace: "bookinfo", labels: &labels };
    let sidecar = Scope { viewer, port: 9080, gateway: None };
    let gateway = Scope { gateway: Some(GatewayRef { namespace: "istio-system", name: "g" }), ..sidecar };
    let admits = |scope: &Scope<'_>, text: &str| scope.admits(&condition(text), "bookinfo");
    assert!(admits(&sidecar, "{uri: {prefix: /}}"));
    assert!(admits(&sidecar, "{port: 9080, sourceLabels: {app: ratings}, sourceNamespace: bookinfo, gateways: [mesh]}"));
    assert!(!admits(&sidecar, "{port: 80}"));
    assert!(!admits(&sidecar, "{sourceLabels: {app: reviews}}"));
    assert!(!admits(&sidecar, "{sourceNamespace: other}"));
    assert!(!admits(&sidecar, "{gateways: [istio-system/g]}"));
    assert!(admits(&gateway, "{gateways: [istio-system/g]}"));
    assert!(!admits(&gateway, "{gateways: [g]}"));
}

fn rule_names(documents: &[String], namespace: &str, labels: &BTreeMap<String, String>) -> Vec<String> {
    let config = config(documents);
    let rule = rule_for(&config, REVIEWS, Viewer { namespace, labels });
    rule.objects.iter().map(|object| object.object.metadata.name.clone()).collect()
}

#[test]
fn destination_rules_are_looked_up_from_the_client_outwards() {
    let none = BTreeMap::new();
    let root = format!("{DR}{{name: root, namespace: istio-system}}\nspec: {{host: '*.cluster.local'}}");
    let service = format!("{DR}{{name: service}}\nspec: {{host: reviews}}");
    let hidden = format!("{DR}{{name: hidden}}\nspec: {{host: reviews, exportTo: ['.']}}");
    let client = format!("{DR}{{name: client, namespace: shop}}\nspec: {{host: '{REVIEWS}'}}");
    let all = [root, service, hidden, client];
    assert_eq!(rule_names(&all, "shop", &none), ["client"]);
    assert_eq!(rule_names(&all[..3], "shop", &none), ["service"]);
    assert_eq!(rule_names(&all[..3], "bookinfo", &none), ["service", "hidden"]);
    assert_eq!(rule_names(&all[..1], "shop", &none), ["root"]);
    assert_eq!(rule_names(&[], "shop", &none), Vec::<String>::new());
}

#[test]
fn specific_rules_and_fitting_selectors_win_within_a_namespace() {
    let wild = format!("{DR}{{name: wild}}\nspec: {{host: '*'}}");
    let exact = format!("{DR}{{name: exact}}\nspec: {{host: reviews}}");
    let selected =
        format!("{DR}{{name: selected}}\nspec: {{host: reviews, workloadSelector: {{matchLabels: {{app: ratings}}}}}}");
    let ratings = [("app".to_owned(), "ratings".to_owned())].into();
    let all = [wild, exact, selected];
    assert_eq!(rule_names(&all, "bookinfo", &BTreeMap::new()), ["exact"]);
    assert_eq!(rule_names(&all, "bookinfo", &ratings), ["selected"]);
}

#[test]
fn rules_for_one_host_are_merged_and_policies_laid_over_block_by_block() {
    let config = config(&[
        format!("{DR}{{name: a}}\nspec: {{host: reviews, subsets: [{{name: v1, labels: {{version: v1}}}}]}}"),
        format!(
            "{DR}{{name: b}}
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {{simple: RANDOM}}
    connectionPool: {{tcp: {{maxConnections: 7}}}}
    portLevelSettings:
    - port: {{number: 9081}}
      loadBalancer: {{simple: ROUND_ROBIN}}
  subsets:
  - {{name: v1, labels: {{version: other}}}}
  - name: v2
    labels: {{version: v2}}
    trafficPolicy: {{loadBalancer: {{simple: PASSTHROUGH}}}}
"
        ),
    ]);
    let labels = BTreeMap::new();
    let rule = rule_for(&config, REVIEWS, Viewer { namespace: "bookinfo", labels: &labels });
    assert_eq!(rule.subset("v1").unwrap().labels["version"], "v1");
    let balancer = |policy: EffectivePolicy<'_>| format!("{:?}", policy.load_balancer.and_then(|l| l.simple));
    assert_eq!(balancer(rule.policy(None, 9080)), "Some(Random)");
    assert_eq!(balancer(rule.policy(None, 9081)), "Some(RoundRobin)");
    assert_eq!(balancer(rule.policy(rule.subset("v1"), 9080)), "Some(Random)");
    assert_eq!(balancer(rule.policy(rule.subset("v2"), 9081)), "Some(Passthrough)");
    assert!(rule.policy(rule.subset("v2"), 9080).connection_pool.is_some());
    assert!(rule.policy(None, 9081).connection_pool.is_none());
}

#[test]
fn gateways_take_the_hosts_that_both_sides_name() {
    let config = config(&[
        format!("{VS}{{name: a}}\nspec: {{hosts: [a.example.com, other.org], gateways: [istio-system/g]}}"),
        format!("{VS}{{name: b, namespace: shop}}\nspec: {{hosts: ['*'], gateways: [istio-system/g]}}"),
        format!("{VS}{{name: c}}\nspec: {{hosts: [a.example.com], gateways: [istio-system/g]}}"),
        format!("{VS}{{name: d}}\nspec: {{hosts: [d.example.com], gateways: [g]}}"),
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: istio-system}\nspec:\n  servers:\n  - {port: {number: 80, protocol: HTTP, name: http}, hosts: ['bookinfo/*.example.com', 'shop/shop.org', 'x/*']}".to_owned(),
    ]);
    let (object, gateway) = config.gateways()[0];
    let hosts = gateway_hosts(&config, object.into(), &gateway.servers[0]);
    let names: Vec<String> = hosts
        .iter()
        .map(|(host, services)| {
            let names: Vec<_> = services.iter().map(|(object, _)| object.object.metadata.name.as_str()).collect();
            format!("{host}: {}", names.join(" "))
        })
        .collect();
    assert_eq!(names, ["a.example.com: a c", "shop.org: b"]);
}

#[test]
fn delegates_are_filled_in() {
    let root = format!(
        "{VS}{{name: root}}\nspec:\n  hosts: [a]\n  http:\n  - {{name: root, match: [{{uri: {{prefix: /api}}}}], timeout: 2s, delegate: {{name: leaf, namespace: shop}}}}\n  - {{route: [{{destination: {{host: b}}}}]}}\n"
    );
    let leaf = format!(
        "{VS}{{name: leaf, namespace: shop}}\nspec:\n  http:\n  - {{name: in, match: [{{uri: {{prefix: /api/v1}}}}], route: [{{destination: {{host: c}}}}]}}\n  - {{match: [{{uri: {{prefix: /other}}}}]}}\n  - {{timeout: 1s}}\n"
    );
    let config = config(&[root, leaf]);
    let (object, spec) = config.virtual_services()[0];
    let routes = http_routes(&config, object, spec);
    let shown: Vec<String> = routes
        .iter()
        .map(|r| format!("{} {:?} {:?}", r.name, r.matches.iter().map(|m| &m.uri).collect::<Vec<_>>(), r.timeout.map(|t| t.0)))
        .collect();
    assert_eq!(shown, ["root-in [Some(Prefix(\"/api/v1\"))] Some(2s)", "root [Some(Prefix(\"/api\"))] Some(1s)", " [] None",]);
    assert!(matches!(config.get(&object.object.key()).unwrap().object.spec, Spec::VirtualService(_)));
}
