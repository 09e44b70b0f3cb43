//! The doors through which telemetry comes in: scrapes of proxies, and what OTLP and Zipkin send.

pub mod als;
pub mod door;
pub mod exposition;
pub mod grpc;
pub(crate) mod intern;
pub mod log_lines;
pub mod otlp;
pub mod remote_write;
pub mod report;
pub mod scrape;
mod wire;
pub mod zipkin;
