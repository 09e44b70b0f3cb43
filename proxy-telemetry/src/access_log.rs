//! Access logs: a compiled format, and a sink that never makes a request wait.

mod format;
mod operator;
mod render;
mod sink;
mod time;

use std::cell::RefCell;
use std::sync::Arc;

use crate::record::Record;

pub use format::{ENVOY_DEFAULT, FORMAT_BYTES_MAX, Format, FormatError, ISTIO_TEXT};
pub use sink::{BUFFER_BYTES, BUFFERS_MAX, FLUSH_EVERY, LogSink, LogTarget, MemoryLog};

/// A format and where its lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Compiled once, shared by all requests.
    pub format: Arc<Format>,
    /// May be shared by several formats.
    pub sink: LogSink,
}

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl AccessLog {
    /// Joins a format and a sink.
    #[must_use]
    pub fn new(format: Format, sink: LogSink) -> Self {
        Self { format: Arc::new(format), sink }
    }

    /// Writes one line, or counts it as dropped.
    pub fn write(&self, record: &Record) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            self.format.render(record, line);
            self.sink.append(line);
        });
    }
}

#[cfg(test)]
mod tests;
