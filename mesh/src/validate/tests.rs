//! Bookinfo is clean; and every way to break it gives its finding at its place.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::config::{Kind, OutboundPolicy};
use crate::fixture::{BOOKINFO, bookinfo};

/// Findings of a text that is checked against Bookinfo, one per line.
fn findings_of(text: &str) -> String {
    let (config, registry) = bookinfo();
    show(&validate_text(text, "bookinfo", &config, &registry).findings)
}

fn show(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|f| {
        let suggestions = if f.suggestions.is_empty() { String::new() } else { format!(" {:?}", f.suggestions) };
        let severity = format!("{:?}", f.severity).to_lowercase();
        format!("{}:{}+{} {severity} {} {}: {}{suggestions}\n", f.line, f.column, f.length, f.code, f.path, f.message)
    });
    lines.collect()
}

/// A VirtualService whose `spec` is given; it begins in line 4.
fn virtual_service(spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: test}}\n{spec}")
}

fn destination_rule(spec: &str) -> String {
    format!("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: test}}\n{spec}")
}

#[test]
fn bookinfo_has_no_findings() {
    let (config, registry) = bookinfo();
    let findings: Vec<Finding> = validate(&config, &registry).into_values().flatten().collect();
    assert_eq!(show(&findings), "");
    assert_eq!(findings_of(BOOKINFO), "");
    assert_eq!(validate(&config, &registry).len(), 11);
}

#[test]
fn destinations_must_exist() {
    let text = virtual_service(
        "\
spec:
  hosts: [details]
  http:
  - match: [{uri: {prefix: /a}}]
    route: [{destination: {host: revews}}]
  - match: [{uri: {prefix: /b}}]
    route: [{destination: {host: reviews.bookinfo}}]
  - match: [{uri: {prefix: /c}}]
    route: [{destination: {host: example.com}}]
  - match: [{uri: {prefix: /d}}]
    route: [{destination: {host: reviews, port: {number: 80}}}]
  - match: [{uri: {prefix: /e}}]
    route: [{destination: {host: reviews, subset: v4}}]
  - match: [{uri: {prefix: /f}}]
    route: [{destination: {host: reviews.bookinfo.svc.cluster.local, subset: v1}}]
  - match: [{uri: {prefix: /g}}]
    route: [{destination: {host: '*.svc.cluster.local'}}]
    mirrors: [{destination: {host: http://ratings}, percentage: {value: 101}}]
  - route: [{destination: {}}]
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        8:34+6 error KIA1101 spec.http[0].route[0].destination.host: there is no service `revews` (`revews.bookinfo.svc.cluster.local`): requests sent there are answered 503; correct the name or add the service ["reviews"]
        10:34+16 error KIA1101 spec.http[1].route[0].destination.host: `reviews.bookinfo` is taken as it stands and is no service; write the full name `reviews.bookinfo.svc.cluster.local` ["reviews.bookinfo.svc.cluster.local"]
        12:34+11 warning KIA1101 spec.http[2].route[0].destination.host: `example.com` is no service of the mesh: requests sent there are answered 503 unless it becomes known
        14:58+2 error SL0106 spec.http[3].route[0].destination.port.number: service reviews has no port 80; it has 9080 ["9080"]
        16:51+2 error KIA1107 spec.http[4].route[0].destination.subset: DestinationRule bookinfo/reviews has no subset `v4`: requests sent there are answered 503; define the subset or name another ["v1", "v2", "v3"]
        20:34+21 error SL0010 spec.http[6].route[0].destination.host: `*.svc.cluster.local` is a wildcard, but requests can only be sent to one host
        21:36+14 error SL0010 spec.http[6].mirrors[0].destination.host: `http://ratings` is no host: leave out the `http://`
        21:73+3 error SL0003 spec.http[6].mirrors[0].percentage.value: 101 is no percentage: give a number from 0 to 100
        22:14+11 error SL0004 spec.http[7].route[0].destination.host: the host is missing: name a service, such as `reviews`
    "#);
}

#[test]
fn only_registered_hosts_may_be_strict() {
    let (mut config, registry) = bookinfo();
    config.settings.outbound = OutboundPolicy::RegistryOnly;
    let text = virtual_service("spec: {hosts: [details], http: [{route: [{destination: {host: example.com}}]}]}");
    insta::assert_snapshot!(show(&validate_text(&text, "bookinfo", &config, &registry).findings), @r#"
        4:63+11 error KIA1101 spec.http[0].route[0].destination.host: there is no service `example.com`: requests sent there are answered 503; correct the name or add the service
    "#);
}

#[test]
fn weights_are_checked() {
    let text = virtual_service(
        "\
spec:
  hosts: [details]
  http:
  - match: [{uri: {prefix: /a}}]
    route:
    - destination: {host: reviews, subset: v1}
      weight: 80
    - destination: {host: reviews, subset: v2}
      weight: 30 # ten too many
  - match: [{uri: {prefix: /b}}]
    route:
    - destination: {host: reviews, subset: v1}
    - destination: {host: reviews, subset: v2}
  - match: [{uri: {prefix: /c}}]
    route:
    - destination: {host: reviews, subset: v1}
      weight: 10
  - match: [{uri: {prefix: /d}}]
    route:
    - destination: {host: reviews, subset: v1}
      weight: -10
    - destination: {host: reviews, subset: v1}
      weight: 110
  - route:
    - destination: {host: reviews, subset: v1}
      weight: 100
    - destination: {host: reviews, subset: v2}
      weight: 0
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        12:15+2 warning SL0103 spec.http[0].route[1].weight: the weights add up to 110, not 100; they count as shares of the sum: reviews v1 72.7 %, reviews v2 27.3 % ["20"]
        14:5+5 error SL0102 spec.http[1].route: all weights are 0, so no destination can be chosen: give weights that add up to 100
        20:15+2 warning KIA1104 spec.http[2].route[0].weight: the weight of 10 has no effect: reviews v1 is the only destination and gets every request; leave the weight out ["100"]
        24:15+3 error SL0101 spec.http[3].route[0].weight: a weight of -10 is not possible: give 0 or more
        25:7+11 warning KIA1105 spec.http[3].route[1].destination: reviews v1 is already destination 1: put the two together
    "#);
}

#[test]
fn rules_do_one_thing_and_values_are_in_range() {
    let text = virtual_service(
        "\
spec:
  hosts: [details]
  exportTo: [bookinf]
  http:
  - match: [{uri: {prefix: /a}}]
  - match: [{uri: {prefix: /b}}]
    route: [{destination: {host: details}}]
    redirect: {uri: /c, redirectCode: 200, port: 80, derivePort: FROM_REQUEST_PORT}
    rewrite: {uri: /d, uriRegexRewrite: {match: '(', rewrite: x}}
    mirror: {host: ratings}
    mirrors: [{destination: {host: ratings}}]
    mirrorPercent: 5
  - match: [{uri: {prefix: /c}}]
    directResponse: {status: 99}
    fault: {}
  - match: [{uri: {prefix: /d}}]
    delegate: {name: review}
  - match: [{uri: {prefix: /e}}]
    route: [{destination: {host: details}}]
    timeout: 3s
    retries: {attempts: 3, perTryTimeout: 2s, retryOn: '5xx, 503, conect-failure'}
    fault:
      delay: {percentage: {value: 120}, percent: 3}
      abort: {httpStatus: 1000}
    corsPolicy: {allowOrigins: [{regex: '['}], allowOrigin: [a]}
  - route: [{destination: {host: details}}]
    retries: {attempts: -1}
    fault: {abort: {httpStatus: 503, grpcStatus: UNAVAILABLE}, delay: {fixedDelay: 1s}}
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        6:14+7 warning KIA0005 spec.exportTo[0]: there is no namespace `bookinf`; use `*` for all, `.` for its own, or the name of one ["bookinfo"]
        8:5+5 error SL0004 spec.http[0]: the rule leads nowhere: add `route` with a destination
        11:5+8 error SL0012 spec.http[1].redirect: `route` and `redirect` exclude each other: keep one
        11:39+3 error SL0003 spec.http[1].redirect.redirectCode: 200 is no code for a redirect: use 301, 302, 303, 307 or 308
        11:66+17 error SL0012 spec.http[1].redirect.derivePort: `port` and `derivePort` exclude each other: keep one
        12:5+7 error SL0012 spec.http[1].rewrite: `rewrite` and `redirect` exclude each other: keep one
        12:24+15 error SL0012 spec.http[1].rewrite.uriRegexRewrite: `uri` and `uriRegexRewrite` exclude each other: keep one
        12:49+3 error SL0011 spec.http[1].rewrite.uriRegexRewrite.match: `(` is no regular expression of RE2: unclosed group
        14:5+7 error SL0012 spec.http[1].mirrors: `mirror` and `mirrors` exclude each other: keep one
        15:20+1 info SL0301 spec.http[1].mirrorPercent: this is an old form; write `mirrorPercentage` instead
        17:30+2 error SL0003 spec.http[2].directResponse.status: 99 is no HTTP status: give one from 200 to 599
        18:5+5 warning SL0203 spec.http[2].fault: a fault without `delay` and `abort` does nothing
        20:22+6 error SL0110 spec.http[3].delegate.name: there is no VirtualService bookinfo/review, so this rule does nothing ["reviews"]
        24:43+2 warning SL0105 spec.http[4].retries.perTryTimeout: 3 retries of 2s each do not fit into the timeout of 3s: later ones never happen; raise `timeout` or lower one of the two
        24:56+26 warning SL0108 spec.http[4].retries.retryOn: `conect-failure` is no condition for a retry and is ignored ["connect-failure"]
        26:7+5 error SL0004 spec.http[4].fault.delay: `fixedDelay` is missing: say how long to wait, such as `2s`
        26:35+3 error SL0003 spec.http[4].fault.delay.percentage.value: 120 is no percentage: give a number from 0 to 100
        26:50+1 info SL0301 spec.http[4].fault.delay.percent: this is an old form; write `percentage` instead
        27:27+4 error SL0003 spec.http[4].fault.abort.httpStatus: 1000 is no HTTP status: give one from 200 to 599
        28:41+3 error SL0011 spec.http[4].corsPolicy.allowOrigins[0].regex: `[` is no regular expression of RE2: unclosed character class
        28:48+11 info SL0301 spec.http[4].corsPolicy.allowOrigin: this is an old form; write `allowOrigins` instead
        30:25+2 error SL0003 spec.http[5].retries.attempts: -1 attempts are not possible: give 0 to turn retries off
        31:50+11 error SL0012 spec.http[5].fault.abort.grpcStatus: `httpStatus` and `grpcStatus` exclude each other: keep one
    "#);
}

#[test]
fn hidden_rules_and_impossible_matches_are_seen() {
    let text = virtual_service(
        "\
spec:
  hosts: [details]
  http:
  - match:
    - uri: {prefix: /api}
    - uri: {exact: /api/v1}
    - uri: {prefix: api}
    - uri: {regex: '(?=x)'}
    - headers: {end-user: {regex: 'luffy|zoro('}}
    route: [{destination: {host: details}}]
  - match: [{uri: {prefix: /api/v2}, headers: {a: {exact: b}}}]
    route: [{destination: {host: details}}]
  - match: [{uri: {prefix: /}, port: 80}]
    route: [{destination: {host: details}}]
  - route: [{destination: {host: details}}]
  - match: [{uri: {prefix: /late}}]
    route: [{destination: {host: details}}]
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        9:7+3 warning SL0104 spec.http[0].match[1]: no request gets to this match: `http[0].match[0]` in front takes them all; move it up, or remove it
        10:21+3 warning SL0111 spec.http[0].match[2].uri.prefix: this never matches: paths begin with `/`, but `api` does not ["/api"]
        11:20+7 error SL0011 spec.http[0].match[3].uri.regex: `(?=x)` is no regular expression of RE2: look-around, including look-ahead and look-behind, is not supported
        12:35+13 error SL0011 spec.http[0].match[4].headers.end-user.regex: `luffy|zoro(` is no regular expression of RE2: unclosed group
        14:5+5 warning SL0104 spec.http[1]: no request gets to this rule: `http[0].match[0]` in front takes them all; move it up, or remove it
        19:5+5 warning SL0104 spec.http[4]: no request gets to this rule: `http[3]` in front takes them all; move it up, or remove it
    "#);
}

#[test]
fn hosts_and_gateways_are_checked() {
    let text = virtual_service(
        "\
spec:
  hosts: ['*', detials, http://x, details:9080, 'a.*.b']
  gateways: [mesh, bookinfo-gatewy, bookinfo-gateway.bookinfo.svc.cluster.local, istio-system/bookinfo-gateway]
  http:
  - match: [{gateways: [bookinfo/other]}]
    route: [{destination: {host: details}}]
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        5:11+3 error SL0010 spec.hosts[0]: `*` is possible only at gateways: name the services, or name the gateways and leave out `mesh`
        5:11+3 info KIA1106 spec.hosts[0]: VirtualService bookinfo/bookinfo is for the same host and gateway: their rules are tried one behind the other, those of the older first
        5:25+8 error SL0010 spec.hosts[2]: `http://x` is no host: leave out the `http://`
        5:35+12 error SL0010 spec.hosts[3]: `details:9080` is no host: leave out the port
        5:49+7 error SL0010 spec.hosts[4]: `a.*.b` is no host: use letters, digits, hyphens and dots; a `*` only in front
        6:20+15 error KIA1102 spec.gateways[1]: there is no gateway `bookinfo-gatewy` in namespace `bookinfo`; write `<namespace>/<name>` for one elsewhere ["bookinfo-gateway"]
        6:37+43 info KIA1108 spec.gateways[2]: this is an old way to name a gateway; write `bookinfo/bookinfo-gateway` ["bookinfo/bookinfo-gateway"]
        6:82+29 error KIA1102 spec.gateways[3]: there is no gateway `bookinfo-gateway` in namespace `istio-system`; write `<namespace>/<name>` for one elsewhere ["bookinfo-gateway"]
        8:25+14 error KIA1102 spec.http[0].match[0].gateways[0]: there is no gateway `other` in namespace `bookinfo`; write `<namespace>/<name>` for one elsewhere
    "#);
    let none = virtual_service("spec: {hosts: [], http: []}");
    insta::assert_snapshot!(findings_of(&none), @r#"
        4:1+4 error SL0004 spec: there are no rules: add `http` with at least one `route`
        4:8+5 error SL0004 spec.hosts: there are no hosts: name the service whose requests are meant (only a delegate has none, and no VirtualService delegates to this one)
    "#);
    let unknown = virtual_service("spec: {hosts: [detials], http: [{route: [{destination: {host: details}}]}]}");
    insta::assert_snapshot!(findings_of(&unknown), @r#"
        4:16+7 warning KIA1101 spec.hosts[0]: there is no service `detials`, so these rules do nothing ["details"]
    "#);
}

#[test]
fn several_for_one_host_are_seen() {
    let mesh =
        virtual_service("spec: {hosts: [reviews.bookinfo.svc.cluster.local], http: [{route: [{destination: {host: reviews}}]}]}");
    insta::assert_snapshot!(findings_of(&mesh), @r#"
        4:16+34 warning KIA1106 spec.hosts[0]: VirtualService bookinfo/reviews is for the same host: the older one is followed and this one ignored; put the rules together in one
    "#);
    let gateway = virtual_service(
        "spec: {hosts: ['*'], gateways: [bookinfo/bookinfo-gateway], http: [{route: [{destination: {host: reviews}}]}]}",
    );
    insta::assert_snapshot!(findings_of(&gateway), @r#"
        4:16+3 info KIA1106 spec.hosts[0]: VirtualService bookinfo/bookinfo is for the same host and gateway: their rules are tried one behind the other, those of the older first
    "#);
    let elsewhere = virtual_service(
        "spec: {hosts: [reviews.bookinfo.svc.cluster.local], exportTo: ['~'], http: [{route: [{destination: {host: reviews}}]}]}",
    );
    insta::assert_snapshot!(findings_of(&elsewhere), @"");
}

#[test]
fn layer4_rules_are_checked() {
    let text = virtual_service(
        "\
spec:
  hosts: [details]
  tls:
  - match: [{port: 443}]
    route: [{destination: {host: detail}}]
  tcp:
  - match: [{port: 27017}]
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        7:5+5 error SL0004 spec.tls[0]: a rule for TLS needs a `match` with `sniHosts`
        8:34+6 error KIA1101 spec.tls[0].route[0].destination.host: there is no service `detail` (`detail.bookinfo.svc.cluster.local`): requests sent there are answered 503; correct the name or add the service ["details"]
        10:5+5 error SL0004 spec.tcp[0]: the rule leads nowhere: add `route` with a destination
    "#);
}

#[test]
fn destination_rules_are_checked() {
    let text = destination_rule(
        "\
spec:
  host: reviews
  trafficPolicy:
    loadBalancer: {simple: LEAST_CONN, consistentHash: {}, warmupDurationSecs: 1s}
    connectionPool: {tcp: {maxConnections: 0}, http: {maxRetries: -1}}
    outlierDetection: {maxEjectionPercent: 110, consecutiveErrors: 5}
    tls: {mode: MUTUAL}
    retryBudget: {percent: -1}
    portLevelSettings:
    - port: {number: 9080}
      loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: x, minimumRingSize: 3}}
    - port: {number: 9080}
    - port: {number: 80}
    - {}
  subsets:
  - name: v1
    labels: {version: v1}
  - name: Canary
    labels: {version: v10}
  - name: v2
  - name: v2
    labels: {version: v2}
  - labels: {version: v3}
",
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        7:28+10 info SL0301 spec.trafficPolicy.loadBalancer.simple: this is an old form; write `LEAST_REQUEST` instead
        7:40+14 error SL0012 spec.trafficPolicy.loadBalancer.consistentHash: `simple` and `consistentHash` exclude each other: keep one
        7:40+14 error SL0004 spec.trafficPolicy.loadBalancer.consistentHash: what to hash is missing: give `httpHeaderName`, `httpCookie`, `useSourceIp` or `httpQueryParameterName`
        7:80+2 info SL0301 spec.trafficPolicy.loadBalancer.warmupDurationSecs: this is an old form; write `warmup.duration` instead
        8:44+1 warning SL0203 spec.trafficPolicy.connectionPool.tcp.maxConnections: 0 has no effect: it is taken as unset, that is, without a limit
        8:67+2 warning SL0203 spec.trafficPolicy.connectionPool.http.maxRetries: -1 has no effect: it is taken as unset, that is, without a limit
        9:44+3 error SL0003 spec.trafficPolicy.outlierDetection.maxEjectionPercent: 110 is no percentage: give a number from 0 to 100
        9:68+1 info SL0301 spec.trafficPolicy.outlierDetection.consecutiveErrors: this is an old form; write `consecutive5xxErrors` instead
        10:17+6 error SL0004 spec.trafficPolicy.tls.mode: `MUTUAL` needs `clientCertificate` and `privateKey`, or `credentialName`
        11:28+2 error SL0003 spec.trafficPolicy.retryBudget.percent: -1 is no percentage: give a number from 0 to 100
        14:22+14 error SL0012 spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash: only one of `httpHeaderName`, `httpCookie`, `useSourceIp` and `httpQueryParameterName` is possible
        14:94+1 info SL0301 spec.trafficPolicy.portLevelSettings[0].loadBalancer.consistentHash.minimumRingSize: this is an old form; write `ringHash.minimumRingSize` instead
        15:22+4 error SL0202 spec.trafficPolicy.portLevelSettings[1].port.number: port 9080 has an entry already: keep one
        16:22+2 error SL0106 spec.trafficPolicy.portLevelSettings[2].port.number: service reviews has no port 80; it has 9080 ["9080"]
        17:7+0 error SL0004 spec.trafficPolicy.portLevelSettings[3].port.number: the entry names no port: add `port.number`
        19:11+2 warning KIA0201 spec.subsets[0].name: DestinationRule bookinfo/reviews also defines subset `v1`: that one, the older, is used
        21:11+6 error SL0009 spec.subsets[1].name: `Canary` is no valid name for a subset: use lower-case letters, digits and hyphens
        22:23+3 info KIA0203 spec.subsets[1].labels.version: no running workload of reviews has version=v10, they have v1, v2, v3: no VirtualService uses it yet ["v1"]
        23:5+4 warning KIA0209 spec.subsets[2]: subset `v2` has no labels, so it is every workload of the host
        24:11+2 error SL0201 spec.subsets[3].name: subset `v2` is already defined as subset 3: keep one
        26:5+6 error SL0004 spec.subsets[4].name: the subset has no name: VirtualServices refer to it by its name
    "#);
    let unknown = destination_rule("spec: {host: rewiews, exportTo: [bookinfo, '.', '*']}");
    insta::assert_snapshot!(findings_of(&unknown), @r#"
        4:14+7 warning KIA0202 spec.host: there is no service `rewiews`, so this rule does nothing ["reviews"]
    "#);
    let short = destination_rule("spec: {host: reviews.bookinfo.svc}");
    insta::assert_snapshot!(findings_of(&short), @r#"
        4:14+20 warning KIA0202 spec.host: `reviews.bookinfo.svc` is taken as it stands and is no service; write the full name `reviews.bookinfo.svc.cluster.local` ["reviews.bookinfo.svc.cluster.local"]
    "#);
    assert_eq!(findings_of(&destination_rule("spec: {host: '*.bookinfo.svc.cluster.local'}")), "");
}

#[test]
fn a_used_subset_without_workloads_is_a_warning() {
    let text = format!(
        "{}---\n{}",
        destination_rule("spec: {host: details, subsets: [{name: v9, labels: {version: v9}}]}\n"),
        virtual_service("spec: {hosts: [details], http: [{route: [{destination: {host: details, subset: v9}}]}]}")
    );
    insta::assert_snapshot!(findings_of(&text), @r#"
        4:62+2 warning KIA0203 spec.subsets[0].labels.version: no running workload of details has version=v9, they have v1: requests sent there are answered 503 ["v1"]
    "#);
}

#[test]
fn gateways_are_checked() {
    let text = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: test}
spec:
  selector: {istio: ingressgatway}
  servers:
  - port: {number: 0, name: web, protocol: HTP}
    hosts: []
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [a.example.com, 'Book Info/x', x/y/z]
  - port: {number: 443, name: https, protocol: HTTPS}
    hosts: [a.example.com]
    tls: {mode: SIMPLE}
  - port: {number: 80, name: http}
    hosts: ['*']
  - port: {number: 81, name: http, protocol: http}
    hosts: ['*']
    tls: {mode: SIMPLE, httpsRedirect: true}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: other}
spec:
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: [x.example.com]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: empty}
spec: {}
";
    insta::assert_snapshot!(findings_of(text), @r#"
        5:3+8 warning KIA0302 spec.selector: no running workload has the labels istio=ingressgatway, so nobody listens
        7:20+1 error SL0004 spec.servers[0].port.number: the port's `number` is missing
        7:29+3 warning KIA0601 spec.servers[0].port.name: `web` does not begin with a protocol; name it like `http-web` ["http-web"]
        7:44+3 error SL0003 spec.servers[0].port.protocol: `HTP` is no protocol: use one of HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, MONGO, TCP, TLS ["HTTP"]
        8:5+5 error SL0004 spec.servers[0].hosts: there are no hosts: give `"*"` for all
        9:5+4 error SL0004 spec.servers[1]: a server for HTTPS needs `tls` with a `mode`
        10:28+13 error SL0010 spec.servers[1].hosts[1]: `Book Info` is no namespace
        10:43+5 error SL0010 spec.servers[1].hosts[2]: `y/z` is no host: leave out the path
        12:13+13 warning KIA0301 spec.servers[2].hosts[0]: server 2 already takes `a.example.com` on port 443
        13:17+6 error SL0004 spec.servers[2].tls.mode: the certificate is missing: give `credentialName`, or `serverCertificate` and `privateKey`
        14:5+4 error SL0004 spec.servers[3].port: the port's `protocol` is missing: give `HTTP`, for instance
        18:17+6 error SL0012 spec.servers[4].tls.mode: a server for HTTP has no `tls.mode`; only `httpsRedirect` is possible
        26:13+13 warning KIA0301 spec.servers[0].hosts[0]: Gateway bookinfo/bookinfo-gateway takes `*` on port 8080 too, on the same workloads: the older one wins
        31:1+4 error SL0004 spec.servers: there are no servers: add one with `port` and `hosts`
    "#);
}

#[test]
fn services_are_checked() {
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: Reviews.x, namespace: Bookinfo}
spec:
  selector: {app: nobody}
  ports:
  - {port: 9080, name: web, protocol: tcp}
  - {port: 9080, appProtocol: htp}
  - {name: web}
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  selector: {app: reviews}
  ports:
  - {port: 9080, name: http, targetPort: htp}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {}
";
    insta::assert_snapshot!(findings_of(text), @r#"
        3:18+9 error SL0009 metadata.name: `Reviews.x` is no valid name: use lower-case letters, digits, hyphens, and begin and end with a letter or digit ["reviews-x"]
        3:40+8 error SL0009 metadata.namespace: `Bookinfo` is no valid namespace: use lower-case letters, digits and hyphens ["bookinfo"]
        5:3+8 warning SL0107 spec.selector: no running workload in `Bookinfo` has the labels app=nobody
        7:24+3 warning KIA0601 spec.ports[0].name: `web` does not begin with a protocol; name it like `http-web`, or add `appProtocol` ["http-web"]
        7:39+3 error SL0003 spec.ports[0].protocol: `tcp` is none of `TCP`, `UDP`, `SCTP` ["TCP"]
        8:6+4 error SL0004 spec.ports[1].name: with several ports each needs a `name`
        8:12+4 error SL0202 spec.ports[1].port: port 9080 is there already
        8:31+3 warning KIA0602 spec.ports[1].appProtocol: `htp` is no protocol that proxies know ["http"]
        9:6+4 error SL0004 spec.ports[2].port: the number of the port is missing
        9:12+3 error SL0202 spec.ports[2].name: the name `web` is taken already
        9:12+3 warning KIA0601 spec.ports[2].name: `web` does not begin with a protocol; name it like `http-web`, or add `appProtocol` ["http-web"]
        17:42+3 warning KIA0701 spec.ports[0].targetPort: no workload of reviews has a port named `htp`
        22:42+11 warning SL0203 spec.externalName: names outside the mesh have no effect here
        27:1+4 error SL0004 spec.ports: there are no ports: add one, such as `- {name: http, port: 9080}`
        27:1+4 warning SL0107 spec.selector: there is no selector, so no workload answers
    "#);
}

#[test]
fn a_change_that_breaks_others_says_so() {
    let text = "\
# v2 is given up
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v3, labels: {version: v3}}
";
    insta::assert_snapshot!(findings_of(text), @r#"
        1:1+0 warning SL0112 : this breaks VirtualService bookinfo/reviews at spec.http[0].route[0].destination.subset: DestinationRule bookinfo/reviews has no subset `v2`: requests sent there are answered 503; define the subset or name another
        1:1+0 warning SL0112 : this breaks VirtualService bookinfo/reviews at spec.http[1].route[1].destination.subset: DestinationRule bookinfo/reviews has no subset `v2`: requests sent there are answered 503; define the subset or name another
    "#);
}

#[test]
fn a_text_is_checked_as_if_it_were_saved() {
    let (config, registry) = bookinfo();
    let text = "\
apiVersion: v1
kind: Service
metadata: {name: carts}
spec:
  selector: {app: reviews}
  ports: [{port: 80, name: http, targetPort: 9080}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: carts}
spec: {hosts: [carts], http: [{route: [{destination: {host: carts}}]}]}
";
    let report = validate_text(text, "bookinfo", &config, &registry);
    assert_eq!(show(&report.findings), "");
    assert!(!report.has_errors());
    assert_eq!(report.by_object, [vec![], vec![]]);
    assert_eq!(report.config.len(), 13);
    assert_eq!(config.len(), 11);
    let key = ObjectKey { kind: Kind::VirtualService, namespace: "bookinfo".into(), name: "carts".into() };
    // Without its service the stored rule would be wrong.
    let mut alone = config.clone();
    alone.insert(report.objects[1].clone().into_config(99));
    insta::assert_snapshot!(show(&validate_object(&key, &alone, &registry)), @r#"
        4:16+5 warning KIA1101 spec.hosts[0]: there is no service `carts`, so these rules do nothing
        4:61+5 error KIA1101 spec.http[0].route[0].destination.host: there is no service `carts` (`carts.bookinfo.svc.cluster.local`): requests sent there are answered 503; correct the name or add the service
    "#);
}

#[test]
fn every_code_is_documented() {
    let documentation = include_str!("../validate.rs");
    let undocumented: Vec<&str> = codes::ALL.iter().map(|(code, _)| *code).filter(|c| !documentation.contains(c)).collect();
    // The table names the first and the last of the codes of the shape.
    assert_eq!(undocumented, ["SL0002", "SL0005", "SL0006", "SL0007"]);
    assert_eq!(codes::title("KIA1107"), "the subset is not defined");
}

proptest! {
    /// Lines of Bookinfo, some of them changed, moved or left out: whatever still has the right shape can be checked.
    #[test]
    fn no_configuration_makes_it_panic(
        edits in prop::collection::vec((0usize..180, prop::sample::select(vec![
            "", "  - 'x'", "    host: ''", "      weight: 2147483647", "  hosts: ['*.*', '']", "    exportTo: [~]", "  subsets: []",
            "  http: [{}]", "  host: '*'", "      number: 65535", "  gateways: ['/', 'a.b.svc.c', mesh]", "        host: \"\\u0000\"",
        ])), 0..12)
    ) {
        let mut lines: Vec<&str> = BOOKINFO.lines().collect();
        for (at, with) in edits {
            if let Some(line) = lines.get_mut(at) {
                *line = with;
            }
        }
        let (config, registry) = bookinfo();
        let report = validate_text(&lines.join("\n"), "bookinfo", &config, &registry);
        for object in report.config.iter().map(|(_, object)| object) {
            let _ = crate::references::references(object, &report.config, &registry);
        }
    }
}
