//! Which headers of the call being answered travel on to the calls made for it.

use http::{HeaderMap, HeaderName};

/// Trace context of every kind in use, the request's id, and who is asking.
///
/// A proxy sees the call that came in and the calls that go out, but not that they belong together; only the
/// application can say so, by copying these.
pub const PROPAGATED: &[&str] = &[
    "x-request-id",
    "x-ot-span-context",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-sampling-priority",
    "traceparent",
    "tracestate",
    "baggage",
    "x-cloud-trace-context",
    "grpc-trace-bin",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "b3",
    "sw8",
    "end-user",
    "user-agent",
    "cookie",
    "authorization",
    "jwt",
];

/// The headers of `incoming` that go on, repeated ones included.
#[must_use]
pub fn propagated(incoming: &HeaderMap) -> HeaderMap {
    let mut outgoing = HeaderMap::new();
    for name in PROPAGATED {
        let name = HeaderName::from_static(name);
        for value in incoming.get_all(&name) {
            outgoing.append(name.clone(), value.clone());
        }
    }
    outgoing
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn copies_trace_context_and_leaves_the_rest() {
        let mut incoming = HeaderMap::new();
        incoming.insert("x-b3-traceid", "80f198ee56343ba864fe8b2a57d3eff7".parse().unwrap());
        incoming.insert("X-Request-Id", "r-1".parse().unwrap());
        incoming.insert("end-user", "luffy".parse().unwrap());
        incoming.insert("accept", "text/html".parse().unwrap());
        incoming.append("tracestate", "a=1".parse().unwrap());
        incoming.append("tracestate", "b=2".parse().unwrap());
        let outgoing = propagated(&incoming);
        assert_eq!(outgoing.get("x-b3-traceid").unwrap(), "80f198ee56343ba864fe8b2a57d3eff7");
        assert_eq!(outgoing.get("x-request-id").unwrap(), "r-1");
        assert_eq!(outgoing.get("end-user").unwrap(), "luffy");
        assert_eq!(outgoing.get_all("tracestate").iter().count(), 2);
        assert_eq!(outgoing.get("accept"), None);
    }
}
