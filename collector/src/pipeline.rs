//! Turns what came in through the doors into what is stored: counters into rollups, in transactions of one writer.

mod delta;
mod edge_rows;
mod intake;
pub mod log_edges;
mod observation;
mod push;
mod pushed;
mod span_edges;
mod spread;
pub mod tail_sampling;
pub mod traces;
mod writer;

pub use delta::{Basis, Comparison, Knowledge, TargetState, compare, lacks_the_proxy};
pub use edge_rows::{EdgeRows, ISTIO_BOUNDS};
pub use intake::{Intake, LogRequest, SpanRequest};
pub use observation::{Observation, Refusal, Role, Room, SERIES_PER_TARGET_MAX};
pub use push::{LABELS_MAX, SampleAnswer, SamplePush, SampleRequest, TimeCheck};
pub use pushed::{IsScraped, PushedEdges, pushed_key};
pub use writer::{WriteError, Writer, WriterHandle};
