//! Opens the ports on which Jaeger's query API is alone, as it is in a Jaeger.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::StartError;
use super::doors::bind_some;
use super::own::Own;
use crate::settings::Settings;
use crate::web::HostPolicy;
use crate::web::auth::Auth;
use crate::web::jaeger::Jaeger;

/// The ports that were asked for. Each answers all of the API: what a Jaeger has on two ports, clients find on either.
pub(super) struct JaegerListeners(Vec<TcpListener>);

impl JaegerListeners {
    /// The listeners, and where they listen.
    pub async fn bind(settings: &Settings) -> Result<(Self, [Option<SocketAddr>; 2]), StartError> {
        let query = bind_some("Jaeger's query API", settings.jaeger_query).await?;
        let grpc = bind_some("Jaeger's query API over gRPC", settings.jaeger_grpc).await?;
        let ((query, query_address), (grpc, grpc_address)) = (query.unzip(), grpc.unzip());
        Ok((Self(query.into_iter().chain(grpc).collect()), [query_address, grpc_address]))
    }

    /// As protected as the dashboard: whoever reads here sees everybody's requests.
    pub fn serve(
        self,
        jaeger: &Jaeger,
        auth: &Arc<Auth>,
        hosts: &HostPolicy,
        own: &Own,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        let serve = |listener: TcpListener| {
            let routes = crate::web::door(Router::new(), jaeger.port(), Arc::clone(auth), hosts.clone());
            tokio::spawn(crate::web::serve(listener, own.watch(routes), stop.clone()))
        };
        self.0.into_iter().map(serve).collect()
    }
}
