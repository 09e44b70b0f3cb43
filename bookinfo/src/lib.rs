//! The sample application: a book's page made by four small HTTP services, an echo service, and a load client.
//!
//! It knows nothing of Sidelight. Its services speak plain HTTP/1.1, copy the tracing headers from the call they answer
//! to the calls they make, and send those through an HTTP proxy when they are given one.

pub mod books;
pub mod cli;
pub mod client;
pub mod details;
pub mod httpbin;
pub mod load;
pub mod productpage;
pub mod propagate;
pub mod ratings;
pub mod reviews;
pub mod server;
