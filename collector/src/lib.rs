//! sidelight-collector
