//! sidelight-telemetry
