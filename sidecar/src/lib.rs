//! sidelight-sidecar
