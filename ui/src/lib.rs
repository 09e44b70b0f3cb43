//! sidelight-ui
