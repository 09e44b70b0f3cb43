//! sidelight-bench
