//! The doors through which telemetry comes in: scrapes of proxies, and spans in Zipkin's format.

pub mod door;
pub mod exposition;
pub mod report;
pub mod scrape;
pub mod zipkin;
