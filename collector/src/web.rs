//! The collector's HTTP server: dashboard, JSON API and health.
