//! The labels of an edge by the rules of Istio's metrics, from what spans tell.

use std::sync::Arc;

use super::half::Half;
use super::side::Side;
use crate::store::EdgeLabels;

const UNKNOWN: &str = "unknown";

/// At least one half is there. What the side that called tells alone is told as its metrics would be.
pub(super) fn labels(client: Option<&Half>, server: Option<&Half>) -> EdgeLabels {
    let mut labels = EdgeLabels { telemetry: "spans".into(), ..EdgeLabels::default() };
    let Some(teller) = server.or(client) else { return labels };
    labels.reporter = if server.is_some() { "destination" } else { "source" }.into();
    source(&mut labels, client.map(|half| &*half.side));
    destination(&mut labels, server.map(|half| &*half.side));
    let host = [client, server].into_iter().flatten().map(|half| &half.host).find(|host| !host.is_empty());
    service(&mut labels, host, server.map(|half| &*half.side));
    let unknown: Arc<str> = UNKNOWN.into();
    labels.source_principal = Arc::clone(&unknown);
    labels.destination_principal = Arc::clone(&unknown);
    labels.connection_security_policy = unknown;
    labels.request_protocol = if teller.result.is_grpc { "grpc" } else { "http" }.into();
    labels.response_code = teller.result.code.to_string().into();
    labels.grpc_response_status = Arc::clone(&teller.result.grpc_status);
    labels.response_flags = Arc::clone(&teller.result.flags);
    labels
}

fn source(labels: &mut EdgeLabels, side: Option<&Side>) {
    let nobody = Side::default();
    let side = side.unwrap_or(&nobody);
    labels.source_workload = known(&side.workload);
    labels.source_workload_namespace = known(&side.namespace);
    labels.source_canonical_service = known(&side.service);
    labels.source_canonical_revision = or(&side.revision, "latest");
    labels.source_app = known(&side.service);
    labels.source_version = known(&side.revision);
    // Empty where it is not told: an unknown cluster is one that was looked for and not found.
    labels.source_cluster = Arc::clone(&side.cluster);
}

fn destination(labels: &mut EdgeLabels, side: Option<&Side>) {
    let nobody = Side::default();
    let side = side.unwrap_or(&nobody);
    labels.destination_workload = known(&side.workload);
    labels.destination_workload_namespace = known(&side.namespace);
    labels.destination_canonical_service = known(&side.service);
    labels.destination_canonical_revision = or(&side.revision, "latest");
    labels.destination_app = known(&side.service);
    labels.destination_version = known(&side.revision);
    labels.destination_cluster = Arc::clone(&side.cluster);
}

fn service(labels: &mut EdgeLabels, host: Option<&Arc<str>>, server: Option<&Side>) {
    let Some(host) = host else {
        // As Istio's metrics on the side that answered: the service is named after the workload.
        let name = known(server.map_or(&Arc::default(), |side| &side.service));
        labels.destination_service = Arc::clone(&name);
        labels.destination_service_name = name;
        labels.destination_service_namespace = known(server.map_or(&Arc::default(), |side| &side.namespace));
        return;
    };
    labels.destination_service = Arc::clone(host);
    let mut parts = host.splitn(4, '.');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(namespace), Some("svc")) => {
            labels.destination_service_name = name.into();
            labels.destination_service_namespace = namespace.into();
        }
        _ => {
            labels.destination_service_name = Arc::clone(host);
            labels.destination_service_namespace = known(server.map_or(&Arc::default(), |side| &side.namespace));
        }
    }
}

fn known(text: &Arc<str>) -> Arc<str> {
    or(text, UNKNOWN)
}

fn or(text: &Arc<str>, other: &str) -> Arc<str> {
    if text.is_empty() { other.into() } else { Arc::clone(text) }
}
