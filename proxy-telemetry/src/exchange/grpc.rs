//! gRPC's own status, from headers, from trailers, or made up from the HTTP status.

use http::HeaderMap;

use super::Exchange;

/// `application/grpc`, alone or with `+proto` or parameters behind it.
pub(super) fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(b"application/grpc") {
        Some(rest) => matches!(rest.first(), None | Some(b'+' | b';')),
        None => false,
    }
}

impl Exchange {
    /// Reads `grpc-status` and `grpc-message`; called for headers and again for trailers, which win.
    pub(crate) fn take_grpc_status(&mut self, headers: &HeaderMap) {
        if !self.record.grpc {
            return;
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(status) = text("grpc-status").and_then(|status| status.parse().ok()) {
            self.record.grpc_status = Some(status);
        }
        if let Some(message) = text("grpc-message") {
            self.record.grpc_message = Some(message.into());
        }
    }

    /// What is reported when no status came: derived from an HTTP status that says something.
    pub(super) fn settle_grpc_status(&mut self) {
        let record = &mut self.record;
        if record.grpc && record.grpc_status.is_none() {
            record.grpc_status = derived(record.code);
        }
    }
}

fn derived(code: u16) -> Option<u16> {
    match code {
        // No response at all, or one that ended without a status.
        0 | 200 => None,
        400 => Some(13),
        401 => Some(16),
        403 => Some(7),
        404 => Some(12),
        429 | 502 | 503 | 504 => Some(14),
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_tell_grpc() {
        for yes in ["application/grpc", "application/grpc+proto", "application/grpc;q=1"] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in ["application/grpc-web", "application/json", ""] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn http_statuses_become_grpc_statuses() {
        let expected = [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (503, 14), (500, 2), (418, 2)];
        for (code, status) in expected {
            assert_eq!(derived(code), Some(status), "{code}");
        }
        assert_eq!(derived(200), None);
    }
}
