//! Lines to the letter, formats that are refused, and sinks that lose nothing silently.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::flags::{ResponseFlag, ResponseFlags};
use crate::labels::{ClusterInfo, Reporter, RouteKind};
use crate::metrics::Families;
use crate::record::{Captured, Downstream, Protocol, Times};

fn captured(pairs: &[(&'static str, &'static str)]) -> Captured {
    let mut captured = Captured::of(&HeaderMap::new(), &[]);
    for (name, value) in pairs {
        captured.set(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    captured
}

fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

/// The observed line of a plain 200 on the client side.
fn ok() -> Record {
    let cluster = ClusterInfo::new("outbound|9080||reviews.bookinfo.svc.cluster.local")
        .with_alt_stat_name("outbound|9080||reviews.bookinfo.svc.cluster.local;");
    Record {
        reporter: Reporter::Source,
        // 2026-11-23T06:41:40.321Z
        started: UNIX_EPOCH + Duration::from_millis(1_795_416_100_321),
        times: Times { end: Duration::from_micros(6190), ..Times::default() },
        method: "GET".into(),
        path: "/ok".into(),
        rewritten_path: None,
        authority: "reviews:9080".into(),
        scheme: "http".into(),
        protocol: Protocol::Http11,
        request_headers: captured(&[("user-agent", "lab-client/1.0"), ("x-request-id", "343a860d-c001-92fc-98fa-bd3412029667")]),
        response_headers: captured(&[("x-envoy-upstream-service-time", "5")]),
        code: 200,
        grpc: false,
        grpc_status: None,
        grpc_message: None,
        details: Some("via_upstream".into()),
        termination_details: None,
        flags: ResponseFlags::default(),
        route_name: Some("default".into()),
        route_kind: RouteKind::Named,
        operation: None,
        cluster: Some(Arc::new(cluster)),
        upstream_host: address("127.0.0.1:21001"),
        upstream_connected: true,
        upstream_local: address("127.0.0.1:37230"),
        upstream_failure: None,
        upstream_tls: None,
        attempts: 1,
        downstream: Downstream { local: address("127.0.0.1:20001"), remote: address("127.0.0.1:42116"), ..Downstream::default() },
        peer: None,
        endpoint: None,
        bytes_received: 0,
        bytes_sent: 6,
        request_head_bytes: 90,
        response_head_bytes: 110,
        trace_id: None,
    }
}

/// What stays of a request that met no upstream.
fn unanswered(code: u16, flags: &[ResponseFlag], details: &'static str) -> Record {
    let mut record = Record {
        code,
        details: Some(details.into()),
        response_headers: Captured::default(),
        upstream_host: None,
        upstream_local: None,
        upstream_connected: false,
        route_name: None,
        bytes_sent: 0,
        times: Times::default(),
        ..ok()
    };
    flags.iter().for_each(|flag| record.flags.set(*flag));
    record
}

fn line(format: &str, record: &Record) -> String {
    let mut out = Vec::new();
    Format::parse(format).unwrap().render(record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_plain_request_is_logged_to_the_letter() {
    assert_eq!(
        line(ISTIO_TEXT, &ok()),
        "[2026-11-23T06:41:40.321Z] \"GET /ok HTTP/1.1\" 200 - via_upstream - \"-\" 0 6 6 5 \"-\" \"lab-client/1.0\" \
         \"343a860d-c001-92fc-98fa-bd3412029667\" \"reviews:9080\" \"127.0.0.1:21001\" \
         outbound|9080||reviews.bookinfo.svc.cluster.local 127.0.0.1:37230 127.0.0.1:20001 127.0.0.1:42116 - default\n"
    );
    assert_eq!(
        line(ENVOY_DEFAULT, &ok()),
        "[2026-11-23T06:41:40.321Z] \"GET /ok HTTP/1.1\" 200 - 0 6 6 5 \"-\" \"lab-client/1.0\" \
         \"343a860d-c001-92fc-98fa-bd3412029667\" \"reviews:9080\" \"127.0.0.1:21001\"\n"
    );
}

#[test]
fn a_refused_connection_is_logged_to_the_letter() {
    let failure = "delayed_connect_error: Connection refused";
    let record = Record {
        bytes_sent: 98,
        upstream_failure: Some(failure.into()),
        upstream_host: address("127.0.0.1:19"),
        ..unanswered(
            503,
            &[ResponseFlag::UpstreamConnectionFailure],
            "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error: Connection refused}",
        )
    };
    let expected = "503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_\
        Connection_refused} - \"delayed_connect_error:_Connection_refused\" 0 98 0 - \"-\" \"lab-client/1.0\" \
        \"343a860d-c001-92fc-98fa-bd3412029667\" \"reviews:9080\" \"127.0.0.1:19\" \
        outbound|9080||reviews.bookinfo.svc.cluster.local - ";
    let found = line(ISTIO_TEXT, &record);
    assert!(found.contains(expected), "{found}");
}

#[test]
fn local_replies_are_logged_to_the_letter() {
    use ResponseFlag as F;
    let cases: [(u16, &[F], &'static str, &str); 8] = [
        (404, &[F::NoRouteFound], "route_not_found", "404 NR route_not_found - \"-\" 0 0 0 - "),
        (503, &[F::NoHealthyUpstream], "no_healthy_upstream", "503 UH no_healthy_upstream - \"-\" 0 0 0 - "),
        (504, &[F::UpstreamRequestTimeout], "response_timeout", "504 UT response_timeout - "),
        (503, &[F::NoClusterFound], "cluster_not_found", "503 NC cluster_not_found - "),
        (500, &[F::DelayInjected, F::FaultInjected], "fault_filter_abort", "500 DI,FI fault_filter_abort - "),
        (
            504,
            &[F::UpstreamRetryLimitExceeded, F::UpstreamRequestTimeout],
            "upstream_per_try_timeout",
            "504 URX,UT upstream_per_try_timeout - ",
        ),
        (502, &[], "direct_response", "502 - direct_response - "),
        (
            0,
            &[F::DownstreamConnectionTermination],
            "downstream_remote_disconnect",
            "\"GET /ok HTTP/1.1\" 0 DC downstream_remote_disconnect - \"-\" 0 0 0 - ",
        ),
    ];
    for (code, flags, details, expected) in cases {
        let found = line(ISTIO_TEXT, &unanswered(code, flags, details));
        assert!(found.contains(expected), "{expected}\n{found}");
    }
}

#[test]
fn a_request_that_never_had_a_head_shows_dashes() {
    let record = Record {
        method: "".into(),
        path: "".into(),
        authority: "".into(),
        request_headers: Captured::default(),
        cluster: None,
        bytes_sent: 11,
        ..unanswered(400, &[ResponseFlag::DownstreamProtocolError], "http1.codec_error")
    };
    let expected = "\"- - HTTP/1.1\" 400 DPE http1.codec_error - \"-\" 0 11 0 - \"-\" \"-\" \"-\" \"-\" \"-\" - - ";
    assert!(line(ISTIO_TEXT, &record).contains(expected));
}

#[test]
fn other_operators_print_what_they_say() {
    let mut record = ok();
    record.times.request_end = Some(Duration::from_millis(1));
    record.times.upstream_first = Some(Duration::from_millis(4));
    record.downstream.remote = address("10.9.9.9:0");
    let cases = [
        ("100%% %REQ(:AUTHORITY):7%", "100% reviews"),
        ("%REQ(X-MISSING?USER-AGENT)%", "lab-client/1.0"),
        ("%REQ(:PATH)% %RESP(:STATUS)%", "/ok 200"),
        ("%UPSTREAM_CLUSTER%", "outbound|9080||reviews.bookinfo.svc.cluster.local;"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "10.9.9.9:0"),
        ("%UPSTREAM_HOST_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS_PORT%", "127.0.0.1 20001"),
        ("%REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "1 4 2"),
        ("%START_TIME(%s.%6f)% %START_TIME(%F %T)%", "1795416100.321000 2026-11-23 06:41:40"),
        ("%DOWNSTREAM_WIRE_BYTES_SENT% %REQUEST_HEADERS_BYTES%", "116 90"),
        ("%GRPC_STATUS_NUMBER% %TRACE_ID% %ACCESS_LOG_TYPE%", "- - DownstreamEnd"),
        ("%RESPONSE_FLAGS_LONG% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "- 1"),
    ];
    for (format, expected) in cases {
        assert_eq!(line(format, &record), format!("{expected}\n"), "{format}");
    }
}

#[test]
fn what_cannot_be_compiled_is_refused_with_a_reason() {
    let refuse = |format: &str| Format::parse(format).unwrap_err().to_string();
    assert_eq!(refuse("%NONSENSE%"), "access log operator `NONSENSE` is not known");
    assert_eq!(
        refuse("ok %PROTOCOL"),
        "access log format has a `%` at byte 3 that nothing closes; a literal percent sign is `%%`"
    );
    assert_eq!(refuse("%BYTES_RECEIVED:3%"), "access log operator `BYTES_RECEIVED:3` takes neither arguments nor a length");
    assert_eq!(refuse("%REQ%"), "access log operator `REQ` needs the name of a header");
    assert_eq!(refuse("%REQ(A?B?C)%"), "access log operator `REQ(A?B?C)` takes at most two headers");
    assert_eq!(refuse("%REQ(a b)%"), "access log operator `REQ(a b)` has a header name that is not legal");
    assert_eq!(refuse("%START_TIME(%Q)%"), "access log operator `START_TIME(%Q)` has a time format that is not known");
}

proptest::proptest! {
    #[test]
    fn no_format_makes_parse_panic(format in "[%A-Z_():?:a-z0-9 é]{0,40}") {
        if let Ok(format) = Format::parse(&format) {
            format.render(&ok(), &mut Vec::new());
        }
    }
}

fn file_sink(path: &std::path::Path) -> LogSink {
    LogSink::open(LogTarget::File(path.to_owned()), &Families::default()).unwrap()
}

#[tokio::test]
async fn files_are_appended_to_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    std::fs::write(&path, "before\n").unwrap();
    let sink = file_sink(&path);
    sink.append(b"one\n");
    sink.flush().await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\n");
    std::fs::rename(&path, &rotated).unwrap();
    sink.append(b"two\n");
    sink.reopen();
    sink.flush().await;
    sink.append(b"three\n");
    sink.flush().await;
    assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "before\none\ntwo\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
    assert_eq!((sink.written(), sink.dropped()), (3, 0));
}

#[tokio::test]
async fn lines_are_written_by_themselves_within_the_interval() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sink = file_sink(&path);
    sink.append(b"soon\n");
    let deadline = std::time::Instant::now() + 10 * sink::FLUSH_EVERY;
    while sink.written() == 0 {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "soon\n");
}

#[tokio::test]
async fn every_line_is_written_or_counted_as_dropped() {
    const LINES: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let sink = file_sink(&path);
    let line = [b'x'; 199];
    for _ in 0..LINES {
        sink.append(&[&line[..], b"\n"].concat());
    }
    sink.flush().await;
    assert_eq!(sink.written() + sink.dropped(), LINES);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), sink.written() * 200);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn write_errors_are_counted() {
    let sink = file_sink(std::path::Path::new("/dev/full"));
    sink.append(b"lost\n");
    sink.flush().await;
    assert_eq!((sink.written(), sink.dropped()), (0, 1));
}

#[test]
fn a_blocked_target_drops_lines_and_nothing_else() {
    // A pipe that nobody reads: the writer blocks in its first write.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let path = path.clone();
        move || std::fs::File::open(path).unwrap()
    });
    let sink = file_sink(&path);
    let reader = reader.join().unwrap();
    let line = [b'x'; 1024];
    let all = (sink::BUFFERS_MAX + 8) * sink::BUFFER_BYTES / line.len();
    let begun = std::time::Instant::now();
    (0..all).for_each(|_| sink.append(&line));
    assert!(sink.dropped() > 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "appending must not wait for the target");
    drop(reader);
}
