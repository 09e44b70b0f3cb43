//! Processor time instead of wall time: on a shared machine only the former can be compared.

use std::fs;
use std::time::{Duration, Instant};

/// Time that this thread has spent on a processor; wall time where the kernel does not tell.
pub fn thread_time(since: Instant) -> Duration {
    let on_cpu_ns = fs::read_to_string("/proc/thread-self/schedstat").ok().and_then(|text| text.split(' ').next()?.parse().ok());
    on_cpu_ns.map_or_else(|| since.elapsed(), Duration::from_nanos)
}
