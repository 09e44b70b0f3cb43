//! Expected texts are those of Prometheus' own tests and of Go's `fmt`.

use super::*;

fn samples(query: &str) -> Result<Value, String> {
    let sample = |instance: &str, value| Value::sample([("__name__", "metric"), ("instance", instance)].into_iter(), value);
    match query {
        "metric" => Ok(Value::List(vec![sample("b", 21.0), sample("a", 11.0)])),
        "none" => Ok(Value::List(Vec::new())),
        other => Err(format!("no answer to {other}")),
    }
}

fn rendered(text: &str) -> Result<String, TemplateError> {
    let labels = Value::map([("instance", Value::text("h.example:90")), ("job", Value::text("j"))]);
    let query: &Ask<'_> = &samples;
    let facts = Facts { labels, value: 0.123_456, external_url: "http://h:9090/prom", now_s: 5.0, query };
    Template::parse(text)?.render(&facts)
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(rendered(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn actions_are_filled_in() {
    check(&[
        ("plain", "plain"),
        ("{{ $labels.instance }} {{ .Labels.job }}", "h.example:90 j"),
        ("{{ $labels.absent }}|", "|"),
        ("a {{- 1 -}} b{{/* not */}}", "a1b"),
        ("{{ $value | printf \"%.2f\" }}", "0.12"),
        ("{{ printf \"%s is %d, %5.1f|%-4s|%t|%q\" \"a\" 3 2.25 \"b\" true \"c\" }}", "a is 3,   2.2|b   |true|\"c\""),
        ("{{ printf \"%d\" 1.5 }}", "%!d(float64=1.5)"),
        ("{{ 1000000.0 }} {{ 123456.0 }} {{ 0.00001 }}", "1e+06 123456 1e-05"),
        ("{{ \"a\" | toUpper }}{{ print 1 2 \"x\" 3 }}", "A1 2x3"),
    ]);
}

#[test]
fn blocks_are_walked() {
    check(&[
        ("{{ if gt $value 1.0 }}high{{ else if gt $value 0.1 }}some{{ else }}low{{ end }}", "some"),
        ("{{ range $i, $s := query \"metric\" }}{{ $i }}={{ .Labels.instance }}:{{ value $s }};{{ end }}", "0=b:21;1=a:11;"),
        ("{{ range query \"metric\" | sortByLabel \"instance\" }}{{ .Value }} {{ end }}", "11 21 "),
        ("{{ with query \"metric\" }}{{ . | first | value | humanize }}{{ end }}", "21"),
        ("{{ with query \"none\" }}some{{ else }}none{{ end }}", "none"),
        ("{{ range query \"none\" }}x{{ else }}none{{ end }}", "none"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x := 3 }}{{ end }}{{ $x }}", "2"),
        ("{{ define \"t\" }}<{{ .arg0 }}{{ .arg1 }}>{{ end }}{{ template \"t\" args 1 \"b\" }}", "<1b>"),
        ("{{ (query \"metric\" | first).Labels.instance }}", "b"),
        ("{{ if and (eq \"a\" \"b\" \"a\") (not false) (ne 1 2) }}yes{{ end }}", "yes"),
    ]);
}

#[test]
fn numbers_are_made_readable() {
    check(&[
        ("{{ humanize 0.0 }} {{ humanize 1234567.0 }} {{ humanize .12 }} {{ humanize -3.5e-5 }}", "0 1.235M 120m -35u"),
        ("{{ humanize1024 0.0 }} {{ humanize1024 1048576.0 }} {{ humanize1024 .12 }}", "0 1Mi 0.12"),
        ("{{ humanizeDuration 0 }} {{ humanizeDuration 60 }} {{ humanizeDuration 3600 }}", "0s 1m 0s 1h 0m 0s"),
        ("{{ humanizeDuration 86400 }} {{ humanizeDuration -93784.2 }}", "1d 0h 0m 0s -1d 2h 3m 4s"),
        ("{{ humanizeDuration 899.99 }} {{ humanizeDuration .0001 }} {{ humanizeDuration 3.25 }}", "14m 59s 100us 3.25s"),
        ("{{ humanizePercentage $value }} {{ humanizePercentage 1.0 }}", "12.35% 100%"),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
    ]);
}

#[test]
fn texts_are_changed() {
    check(&[
        ("{{ reReplaceAll \"(a)b\" \"x$1\" \"abab\" }} {{ match \"a.c\" \"abc\" }}", "xaxa true"),
        ("{{ title \"some words\" }} {{ stripPort \"h:1\" }} {{ stripPort \"[::1]:2\" }}", "Some Words h ::1"),
        ("{{ stripDomain \"h.example.com:1\" }} {{ stripDomain \"10.0.0.1:1\" }}", "h:1 10.0.0.1:1"),
        ("{{ graphLink \"up{a=\\\"b c\\\"}\" }}", "/graph?g0.expr=up%7Ba%3D%22b+c%22%7D&g0.tab=0"),
        (
            "{{ externalURL }}{{ pathPrefix }} {{ html \"<a>\" }} {{ parseDuration \"1h5m\" }}",
            "http://h:9090/prom/prom &lt;a&gt; 3900",
        ),
        ("{{ len \"abc\" }} {{ index (query \"metric\") 1 | label \"instance\" }}", "3 a"),
    ]);
}

#[test]
fn what_is_wrong_is_told() {
    for (text, why) in [
        ("{{ absent }}", "function \"absent\" not defined"),
        ("{{ $absent }}", "undefined variable \"$absent\""),
        ("{{ if true }}x", "{{if}} without {{end}}"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ 1", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ 1 2 }}", "can't give argument to non-function"),
        ("{{ (1 }}", "unclosed left paren"),
        ("{{ query \"other\" }}", "error calling query: no answer to other"),
        ("{{ first (query \"none\") }}", "error calling first: first() called on vector with no elements"),
        ("{{ gt $value 1 }}", "error calling gt: incompatible types for comparison"),
        ("{{ humanize }}", "wrong number of args for humanize: got 0"),
    ] {
        let told = rendered(text).expect_err(text).to_string();
        assert!(told.ends_with(why), "{text}: {told}");
    }
}

#[test]
fn no_template_takes_for_ever() {
    let endless = "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" }}";
    assert!(rendered(endless).is_err());
    let long = format!("{}x{}", "{{ range query \"metric\" }}".repeat(40), "{{ end }}".repeat(40));
    assert!(rendered(&long).is_err());
    assert!(Template::parse(&"{{ if true }}".repeat(1000)).is_err());
    assert!(Template::parse(&format!("{{{{ {} }}}}", "(".repeat(1000))).is_err());
    assert!(Template::parse(&"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}
