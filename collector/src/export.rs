//! What leaves the collector: stored spans on their way to other backends, through a queue in the database.

mod batch;
mod client;
mod connection;
mod destination;
mod filter;
mod metrics;
pub mod otlp;
mod report;
mod response;
mod retry;
mod settings;
mod worker;

pub use client::{Client, ClientError, ClientSettings, Delivery, Message, SendError};
pub use destination::{Destination, Protocol};
pub use filter::{SpanFilter, is_sampled};
pub use metrics::ExportMetrics;
pub use report::Report;
pub use settings::ExportSettings;
pub use worker::{Exporter, LEASE};
