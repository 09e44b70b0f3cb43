//! The request id: made when absent, and carrying at index 14 why the request is traced.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header of the request id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const X_CLIENT_TRACE_ID: HeaderName = HeaderName::from_static("x-client-trace-id");
const X_FORCE_TRACE: HeaderName = HeaderName::from_static("x-envoy-force-trace");

/// Length of a UUID's text; an id of another length cannot carry a reason.
const UUID_LEN: usize = 36;
/// Where the UUID's version stands, and the trace reason in its place.
const REASON_AT: usize = 14;

/// Why a request is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    NotTraced,
    Sampled,
    ServiceForced,
    ClientForced,
}

impl Reason {
    fn as_byte(self) -> u8 {
        match self {
            Self::NotTraced => b'4',
            Self::Sampled => b'9',
            Self::ServiceForced => b'a',
            Self::ClientForced => b'b',
        }
    }

    fn from_byte(byte: u8) -> Self {
        match byte {
            b'9' => Self::Sampled,
            b'a' => Self::ServiceForced,
            b'b' => Self::ClientForced,
            _ => Self::NotTraced,
        }
    }
}

/// Percentages of the three gates, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gates {
    pub client: f64,
    pub random: f64,
    pub overall: f64,
}

/// The id of a request, taken over or new, and whether it is to be traced.
pub(crate) struct Decision {
    pub id: HeaderValue,
    pub traced: bool,
}

/// Takes over the request's id, or makes one when it has none or `replace` is set (an edge proxy).
pub(crate) fn request_id(headers: &HeaderMap, replace: bool) -> HeaderValue {
    match headers.get(&X_REQUEST_ID) {
        Some(id) if !replace && !id.is_empty() => id.clone(),
        _ => new_id(),
    }
}

/// Decides on tracing and writes the reason into the id.
pub(crate) fn decide(id: HeaderValue, headers: &HeaderMap, internal: bool, gates: Gates) -> Decision {
    let not_traced = |id| Decision { id, traced: false };
    let Some(lot) = lot_of(id.as_bytes()) else {
        return not_traced(id);
    };
    let came_with = Reason::from_byte(id.as_bytes()[REASON_AT]);
    let mut reason = match came_with {
        Reason::NotTraced => local_reason(lot, headers, internal, gates),
        carried => carried,
    };
    if !passes(lot, gates.overall) {
        reason = Reason::NotTraced;
    }
    Decision { id: if reason == came_with { id } else { with_reason(id, reason) }, traced: reason != Reason::NotTraced }
}

fn local_reason(lot: u32, headers: &HeaderMap, internal: bool, gates: Gates) -> Reason {
    if headers.contains_key(&X_CLIENT_TRACE_ID) && passes(lot, gates.client) {
        Reason::ClientForced
    } else if internal && headers.contains_key(&X_FORCE_TRACE) {
        Reason::ServiceForced
    } else if passes(lot, gates.random) {
        Reason::Sampled
    } else {
        Reason::NotTraced
    }
}

/// The request's number in the lottery, 0 to 9999: the same at every proxy, because it comes from the id.
fn lot_of(id: &[u8]) -> Option<u32> {
    if id.len() != UUID_LEN {
        return None;
    }
    let digits = std::str::from_utf8(&id[..8]).ok()?;
    u32::from_str_radix(digits, 16).ok().map(|n| n % 10_000)
}

fn passes(lot: u32, percent: f64) -> bool {
    f64::from(lot) < percent * 100.0
}

fn with_reason(id: HeaderValue, reason: Reason) -> HeaderValue {
    let mut bytes = [0; UUID_LEN];
    bytes.copy_from_slice(id.as_bytes());
    bytes[REASON_AT] = reason.as_byte();
    HeaderValue::from_bytes(&bytes).unwrap_or(id)
}

fn new_id() -> HeaderValue {
    let mut buffer = uuid::Uuid::encode_buffer();
    let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("a UUID's text is a legal header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Gates = Gates { client: 100.0, random: 0.0, overall: 100.0 };
    const ALL: Gates = Gates { client: 100.0, random: 100.0, overall: 100.0 };

    fn check(id: &str, headers: &[(&'static str, &'static str)], gates: Gates) -> (String, bool) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let decision = decide(HeaderValue::from_str(id).unwrap(), &map, false, gates);
        (decision.id.to_str().unwrap().to_owned(), decision.traced)
    }

    fn expect(id: &str, traced: bool) -> (String, bool) {
        (id.to_owned(), traced)
    }

    #[test]
    fn the_reason_is_written_at_index_14() {
        let id = "343a860d-c001-42fc-98fa-bd3412029667";
        assert_eq!(check(id, &[], ALL), expect("343a860d-c001-92fc-98fa-bd3412029667", true));
        assert_eq!(check(id, &[], NONE), expect(id, false));
        let forced = "343a860d-c001-b2fc-98fa-bd3412029667";
        assert_eq!(check(id, &[("x-client-trace-id", "1")], NONE), expect(forced, true));
    }

    #[test]
    fn a_reason_that_came_with_the_request_is_traced_even_at_zero_percent() {
        for id in [
            "343a860d-c001-92fc-98fa-bd3412029667",
            "343a860d-c001-a2fc-98fa-bd3412029667",
            "343a860d-c001-b2fc-98fa-bd3412029667",
        ] {
            assert_eq!(check(id, &[], NONE), expect(id, true));
        }
        let off = Gates { overall: 0.0, ..ALL };
        let carried = "343a860d-c001-92fc-98fa-bd3412029667";
        assert_eq!(check(carried, &[], off), expect("343a860d-c001-42fc-98fa-bd3412029667", false));
    }

    #[test]
    fn an_id_that_is_no_uuid_is_not_traceable() {
        assert_eq!(check("my-custom-id", &[], ALL), expect("my-custom-id", false));
        let odd = "zzzzzzzz-c001-42fc-98fa-bd3412029667";
        assert_eq!(check(odd, &[], ALL), expect(odd, false));
    }

    #[test]
    fn the_lot_is_the_first_eight_digits_modulo_ten_thousand() {
        // 0x00001388 = 5000: below 50.01 %, not below 50 %.
        let id = "00001388-c001-42fc-98fa-bd3412029667";
        assert!(!check(id, &[], Gates { random: 50.0, ..NONE }).1);
        assert!(check(id, &[], Gates { random: 50.01, ..NONE }).1);
    }

    #[test]
    fn force_trace_counts_only_from_inside() {
        let mut headers = HeaderMap::new();
        headers.insert("x-envoy-force-trace", HeaderValue::from_static("1"));
        let id = HeaderValue::from_static("343a860d-c001-42fc-98fa-bd3412029667");
        assert!(!decide(id.clone(), &headers, false, NONE).traced);
        let inside = decide(id, &headers, true, NONE);
        assert_eq!(inside.id, "343a860d-c001-a2fc-98fa-bd3412029667");
    }

    #[test]
    fn ids_are_kept_unless_the_proxy_stands_at_the_edge() {
        let mut headers = HeaderMap::new();
        assert_eq!(request_id(&headers, false).len(), 36);
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("mine"));
        assert_eq!(request_id(&headers, false), "mine");
        assert_ne!(request_id(&headers, true), "mine");
    }
}
