//! The end of an exchange: every signal is written here, once.

use super::{Exchange, Outcome};
use crate::flags::ResponseFlag;
use crate::labels::{LabelSources, Reporter, Rpc};
use crate::metrics::Sample;
use crate::record::Record;
use crate::spans;
use std::borrow::Cow;
use std::sync::atomic::Ordering;

impl Exchange {
    pub(super) fn end(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        if outcome == Outcome::Abandoned {
            self.record.flags.set(ResponseFlag::DownstreamConnectionTermination);
            self.record.details = Some(Cow::Borrowed("downstream_remote_disconnect"));
        }
        self.settle_grpc_status();
        let record = &mut self.record;
        record.times.end = self.started.elapsed();
        record.times.request_end = self.progress.request_end();
        record.bytes_received = self.progress.request_bytes.load(Ordering::Relaxed);
        self.count();
        if let Some(log) = &self.active.settings.access_log {
            log.write(&self.record);
        }
        self.export();
    }

    fn count(&self) {
        let shared = &self.telemetry.0;
        let record = &self.record;
        let sources = LabelSources {
            reporter: record.reporter,
            node: &shared.identity,
            peer: record.peer.as_deref().or(record.endpoint.as_deref()),
            cluster: record.cluster.as_deref(),
            tls: match record.reporter {
                Reporter::Source => record.upstream_tls.as_deref(),
                Reporter::Destination => record.downstream.tls.as_deref(),
            },
            route: record.route_kind,
            authority: &record.authority,
            code: record.code,
            rpc: if record.grpc { Rpc::Grpc(record.grpc_status) } else { Rpc::Http },
            flags: record.flags,
        };
        shared.registry.record(&sources, sample_of(record));
    }

    fn export(&self) {
        let (Some(tracing), Some(context)) = (&self.active.settings.tracing, self.trace) else {
            return;
        };
        if !context.sampled {
            return;
        }
        if let Some(upstream) = self.upstream_trace
            && let Some(span) = spans::upstream_span(&self.record, upstream)
        {
            tracing.exporter.offer(span);
        }
        let kind = spans::kind_of(self.record.reporter, tracing.spawn_upstream_span);
        let span = spans::request_span(&self.record, context, kind, tracing.max_path_tag_length);
        tracing.exporter.offer(span);
    }
}

fn sample_of(record: &Record) -> Sample {
    Sample {
        duration_ms: u64::try_from(record.times.end.as_millis()).unwrap_or(u64::MAX),
        request_bytes: record.request_head_bytes + record.bytes_received,
        response_bytes: record.response_head_bytes + record.bytes_sent,
    }
}
