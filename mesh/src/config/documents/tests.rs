//! Texts, and every finding that they must give.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

/// One line per finding: `line:column+length code path: message [suggestions]`.
fn findings_of(text: &str) -> String {
    let parsed = parse_documents(text, "default");
    let lines = parsed.findings.iter().map(|f| {
        let suggestions = if f.suggestions.is_empty() { String::new() } else { format!(" {:?}", f.suggestions) };
        format!("{}:{}+{} {} {}: {}{suggestions}\n", f.line, f.column, f.length, f.code, f.path, f.message)
    });
    lines.collect()
}

const REVIEWS: &str = "\
# who sees which stars
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - match:
    - headers:
        end-user: {exact: luffy}
    route:
    - destination: {host: reviews, subset: v2}
  - route: # everybody else
    - destination:
        host: reviews
        subset: v1
      weight: 80
    - destination: {host: reviews, subset: v3}
      weight: 20
    timeout: 1.5s
";

#[test]
fn a_good_text_becomes_objects() {
    let text = format!(
        "---\n{REVIEWS}---\n# nothing here\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: reviews, namespace: bookinfo}}\nspec:\n  clusterIPs: [10.0.0.1]\n  selector: {{app: reviews}}\n  ports:\n  - {{port: 9080, name: http, targetPort: web}}\n"
    );
    let parsed = parse_documents(&text, "default");
    assert_eq!(parsed.findings, []);
    let [reviews, service] = &parsed.objects[..] else { panic!("{parsed:?}") };
    assert_eq!(reviews.text, REVIEWS);
    assert_eq!(reviews.first_line, 2);
    assert_eq!(reviews.object.key().to_string(), "VirtualService default/reviews");
    assert_eq!(service.object.key().to_string(), "Service bookinfo/reviews");
    let Spec::VirtualService(spec) = &reviews.object.spec else { panic!() };
    assert_eq!(spec.http[0].matches[0].headers["end-user"], super::super::StringMatch::Exact("luffy".into()));
    assert_eq!(spec.http[1].route[1].weight, Some(20));
    assert_eq!(spec.http[1].timeout.unwrap().0.as_millis(), 1500);
    assert_eq!(reviews.places.find("spec.http[1].route[1].weight"), Place { line: 20, column: 15, length: 2 });
    assert_eq!(reviews.places.find("spec.http[1].route[0].destination.port.number"), Place { line: 15, column: 7, length: 11 });
    let Spec::Service(spec) = &service.object.spec else { panic!() };
    assert_eq!(spec.ports[0].target_port, Some(super::super::PortOrName::Name("web".into())));
}

#[test]
fn all_errors_of_all_documents_are_reported() {
    let text = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  label: {a: b}
spec:
  hosts: reviews
  http:
  - route:
    - destination:
        hots: reviews
        subset: 1
      weight: eighty
    timeout: 10
    retries: {attempts: 3, perTryTimeout: 2sec}
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  ports:
  - {port: 90800, name: http}
  - {port: 9080, name: http, appprotocol: http}
---
a: [1
---
- just a list
";
    insta::assert_snapshot!(findings_of(text), @r#"
        5:3+5 SL0002 metadata.label: unknown field `label`; did you mean `labels`? ["labels"]
        7:10+7 SL0003 spec.hosts: expected a list, found `reviews`: put `- ` before it ["[reviews]"]
        11:9+4 SL0002 spec.http[0].route[0].destination.hots: unknown field `hots`; did you mean `host`? ["host"]
        12:17+1 SL0003 spec.http[0].route[0].destination.subset: expected a text, found the number 1: put it in quotes ["\"1\""]
        13:15+6 SL0003 spec.http[0].route[0].weight: expected a whole number, found `eighty`
        14:14+2 SL0003 spec.http[0].timeout: expected a duration such as `500ms`, `10s` or `1m`, found the number 10 ["10s"]
        15:43+4 SL0003 spec.http[0].retries.perTryTimeout: expected a duration such as `500ms`, `10s` or `1m`, found `2sec`
        22:12+5 SL0003 spec.ports[0].port: expected a whole number from 0 to 65535, found the number 90800
        23:30+11 SL0002 spec.ports[1].appprotocol: unknown field `appprotocol`; did you mean `appProtocol`? ["appProtocol", "protocol"]
        25:4+1 SL0001 : this is no valid YAML: unclosed bracket '['
        27:1+0 SL0003 : expected an object with `apiVersion`, `kind`, `metadata` and `spec`
    "#);
}

#[test]
fn the_envelope_is_checked() {
    let check = |text: &str| findings_of(text);
    insta::assert_snapshot!(check("kind: VirtualService\nspec: {}\n"), @r#"
        1:1+0 SL0004 apiVersion: `apiVersion` is missing
        1:1+0 SL0004 metadata: `metadata` with a `name` is missing
    "#);
    insta::assert_snapshot!(check("apiVersion: v1\nkind: virtualservice\nmetadata: {}\nspek: 1\n"), @r#"
        2:7+14 SL0005 kind: kind `virtualservice` is not supported; supported are VirtualService, DestinationRule, Gateway, Service ["VirtualService"]
        3:1+8 SL0004 metadata.name: `metadata.name` is missing
        4:1+4 SL0002 spek: unknown field `spek`; did you mean `spec`? ["spec"]
    "#);
    insta::assert_snapshot!(check("apiVersion: v2\nkind: Service\nmetadata: {name: x}\nspec: []\n"), @r#"
        1:13+2 SL0005 apiVersion: a Service has apiVersion `v1`, not `v2` ["v1"]
        4:1+4 SL0003 spec: expected a map with `selector`, `ports`, `clusterIP`, `type`, `externalName`, `clusterIPs`, `externalIPs`, `externalTrafficPolicy`, …, found a list
    "#);
    insta::assert_snapshot!(check("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nkind: Service\n"), @r#"
        2:7+3 SL0005 kind: kind `Pod` is not supported; supported are VirtualService, DestinationRule, Gateway, Service
        4:1+4 SL0006 kind: `kind` is here for the second time; keep one, or separate objects with `---`
    "#);
    insta::assert_snapshot!(check("hello"), @r#"
        1:1+5 SL0003 : expected an object with `apiVersion`, `kind`, `metadata` and `spec`
    "#);
    insta::assert_snapshot!(check("a: b: c"), @r#"
        1:5+1 SL0001 : this is no valid YAML: mapping values are not allowed in this context; check the indentation, or put quotes around a text that contains `: `
    "#);
    insta::assert_snapshot!(check(""), @"");
}

#[test]
fn the_same_object_twice_is_an_error() {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {}\n";
    insta::assert_snapshot!(findings_of(&format!("{service}---\n{service}")), @r#"
        8:18+1 SL0008 metadata.name: Service default/x is in this text for the second time; keep one
    "#);
}

#[test]
fn enums_and_matches_are_checked() {
    let text = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: x}
spec:
  host: x
  trafficPolicy:
    loadBalancer: {simple: ROUNDROBIN}
    tls: {mode: [a]}
    outlierDetection: {consecutive5xxErrors: -1, interval: 5m, maxEjectionPercent: 1.5}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: x}
spec:
  hosts: [x]
  http:
  - match: [{uri: {exact: /a, prefix: /b}}, {method: GET, ignoreUriCase: 'yes'}]
    fault: {delay: {percentage: {value: half}}}
";
    insta::assert_snapshot!(findings_of(text), @r#"
        7:28+10 SL0003 spec.trafficPolicy.loadBalancer.simple: `ROUNDROBIN` is none of `UNSPECIFIED`, `RANDOM`, `PASSTHROUGH`, `ROUND_ROBIN`, `LEAST_REQUEST`, `LEAST_CONN` ["ROUND_ROBIN"]
        8:11+4 SL0003 spec.trafficPolicy.tls.mode: expected one of `DISABLE`, `SIMPLE`, `MUTUAL`, `ISTIO_MUTUAL`, found a list
        9:46+2 SL0003 spec.trafficPolicy.outlierDetection.consecutive5xxErrors: expected a whole number, 0 or more, found the number -1
        9:84+3 SL0003 spec.trafficPolicy.outlierDetection.maxEjectionPercent: expected a whole number, found the number 1.5
        17:14+3 SL0003 spec.http[0].match[0].uri: more than one of `exact`, `prefix` and `regex` is given; keep one
        17:54+3 SL0003 spec.http[0].match[1].method: expected a map with `exact`, `prefix`, `regex`, found `GET` ["{exact: GET}"]
        17:74+5 SL0003 spec.http[0].match[1].ignoreUriCase: expected `true` or `false`, found `yes`
        18:41+4 SL0003 spec.http[0].fault.delay.percentage.value: expected a number, found `half`
    "#);
}

#[test]
fn documents_may_begin_on_the_marker_line() {
    let text = "--- {apiVersion: v1, kind: Service, metadata: {name: x}, spec: {oops: 1}}\n...\n";
    insta::assert_snapshot!(findings_of(text), @r#"
        1:65+4 SL0002 spec.oops: unknown field `oops`; known here are `selector`, `ports`, `clusterIP`, `type`, `externalName`, `clusterIPs`, `externalIPs`, `externalTrafficPolicy`, …
    "#);
}

#[test]
fn bombs_are_defused() {
    let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (name, last) in ('b'..='i').zip('a'..) {
        text += &format!("{name}: &{name} [*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last},*{last}]\n");
    }
    insta::assert_snapshot!(findings_of(&text), @r#"
        4:32+2 SL0001 : this is no valid YAML: alias replay limit exceeded: total_replayed_events=10001 > 10000
    "#);
    insta::assert_snapshot!(findings_of(&"[".repeat(100_000)), @r#"
        1:49+1 SL0001 : this is no valid YAML: recursion limit exceeded
    "#);
    insta::assert_snapshot!(findings_of(&"a: ".repeat(600_000)), @r#"
        0:0+0 SL0007 : the text has 1800000 bytes, at most 1048576 are read; split it
    "#);
    let deep: String = (0..3000).map(|depth| format!("{}a:\n", " ".repeat(depth % 300))).collect();
    assert_eq!(parse_documents(&deep, "x").objects, []);
}

#[test]
fn many_errors_are_cut_short() {
    let document = "apiVersion: v1\nkind: Pod\n---\n".repeat(150);
    let parsed = parse_documents(&document, "x");
    assert_eq!(parsed.findings.len(), FINDINGS_MAX + 1);
    assert_eq!(parsed.findings[FINDINGS_MAX].message, "100 more errors are not listed");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,400}") {
        let _ = parse_documents(&text, "default");
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "apiVersion: v1\n", "kind: VirtualService\n", "metadata:\n", "  name: x\n", "spec:\n", "  http:\n", "  - route:\n",
                "    - weight: ", "---\n", "- ", "  ", "\n", "{", "}", "[", "]", ": ", "&a ", "*a", "!!int ", "|\n", ">-\n", "\"", "'",
                "é", "\t", "#", "? ", "<<: ", "\u{feff}", "hosts", "1", "...\n", "%YAML 1.2\n", "\r\n", "\u{0}", "\u{85}", "\u{2028}",
            ]),
            0..60,
        )
    ) {
        let text = words.concat();
        let _ = parse_documents(&text, "default");
    }

    #[test]
    fn a_changed_byte_makes_no_panic(at in 0..REVIEWS.len(), with in any::<char>()) {
        let mut text = REVIEWS.to_owned();
        text.replace_range(at..=at, with.encode_utf8(&mut [0; 4]));
        let _ = parse_documents(&text, "default");
    }
}
