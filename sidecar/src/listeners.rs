//! Opens and closes listening sockets as the configuration asks, and serves HTTP on them.

mod serve;
mod tcp;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use arc_swap::ArcSwap;
use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::http_manager::Routes;
use crate::config::listener::{Listener, Serves, TcpProxy};
use crate::config::route::RouteTable;
use crate::proxy::Context;
use crate::shared::{ListenerView, Shared};
use crate::stats::ListenerStats;

/// Connections that wait for being accepted.
const BACKLOG: i32 = 1024;

/// Where a listener finds its routes.
#[derive(Clone)]
pub enum RouteSource {
    Fixed(Arc<RouteTable>),
    Shared(Arc<ArcSwap<RouteTable>>),
}

impl RouteSource {
    pub fn load(&self) -> Arc<RouteTable> {
        match self {
            Self::Fixed(table) => table.clone(),
            Self::Shared(slot) => slot.load_full(),
        }
    }
}

/// What a listener does with its connections; replaced as a whole when its configuration changes.
pub enum Served {
    Http(Arc<Context>),
    Tcp(Arc<TcpContext>),
}

/// A listener that copies bytes to a cluster.
pub struct TcpContext {
    pub proxy: Arc<TcpProxy>,
    pub shared: Arc<Shared>,
}

pub struct Listeners {
    shared: Arc<Shared>,
    /// Opened for an update, not yet serving.
    reserved: BTreeMap<String, Reserved>,
    active: BTreeMap<String, ActiveListener>,
    connections: TaskTracker,
    shutdown: CancellationToken,
}

struct Reserved {
    wanted: SocketAddr,
    socket: TcpListener,
}

struct ActiveListener {
    wanted: SocketAddr,
    bound: SocketAddr,
    /// A second handle of the listening socket, for a successor under another name.
    socket: TcpListener,
    config: Arc<Listener>,
    served: Arc<ArcSwap<Served>>,
    stats: Arc<ListenerStats>,
    stop: CancellationToken,
}

impl Listeners {
    pub fn new(shared: Arc<Shared>, connections: TaskTracker, shutdown: CancellationToken) -> Self {
        Self { shared, reserved: BTreeMap::new(), active: BTreeMap::new(), connections, shutdown }
    }

    pub fn len(&self) -> usize {
        self.active.len()
    }

    /// Opens the sockets of new listeners, without serving on them yet.
    pub fn reserve<'a>(&mut self, wanted: impl Iterator<Item = &'a Listener>) -> Result<(), String> {
        let mut taken: BTreeMap<SocketAddr, &str> = BTreeMap::new();
        let mut reserved = BTreeMap::new();
        for listener in wanted.filter(|listener| listener.bound) {
            if listener.address.port() != 0
                && let Some(other) = taken.insert(listener.address, &listener.name)
            {
                return Err(format!(
                    "listener `{}`: `address`: {} is taken by listener `{other}`",
                    listener.name, listener.address
                ));
            }
            if self.has_socket(listener) {
                continue;
            }
            let socket = self.open(listener)?;
            reserved.insert(listener.name.clone(), Reserved { wanted: listener.address, socket });
        }
        self.reserved.append(&mut reserved);
        Ok(())
    }

    fn has_socket(&self, listener: &Listener) -> bool {
        let active = self.active.get(&listener.name).map(|active| active.wanted);
        let reserved = self.reserved.get(&listener.name).map(|r| r.wanted);
        active == Some(listener.address) || reserved == Some(listener.address)
    }

    fn open(&self, listener: &Listener) -> Result<TcpListener, String> {
        // A listener that only changed its name goes on with the same socket.
        let predecessor = self.active.values().find(|active| active.wanted == listener.address && active.wanted.port() != 0);
        let socket = match predecessor {
            Some(active) => active.socket.try_clone(),
            None => bind(listener.address),
        };
        socket.map_err(|error| format!("listener `{}`: `address`: cannot bind {}: {error}", listener.name, listener.address))
    }

    /// Serves exactly these, and those of the warming ones that were served before.
    pub fn apply(&mut self, wanted: Vec<(Arc<Listener>, Option<RouteSource>)>, warming: &BTreeSet<String>) {
        let bound = wanted.iter().filter(|(listener, _)| listener.bound);
        let names: BTreeSet<_> = bound.map(|(listener, _)| listener.name.clone()).collect();
        for (listener, routes) in wanted {
            self.put(listener, routes);
        }
        let gone: Vec<_> =
            self.active.keys().filter(|name| !names.contains(*name) && !warming.contains(*name)).cloned().collect();
        for name in gone {
            self.remove(&name);
        }
        self.reserved.retain(|name, _| warming.contains(name));
        self.publish();
    }

    fn put(&mut self, listener: Arc<Listener>, routes: Option<RouteSource>) {
        if !listener.bound {
            return;
        }
        if let Some(active) = self.active.get_mut(&listener.name)
            && active.wanted == listener.address
        {
            if !is_same(active, &listener, routes.as_ref())
                && let Some(served) = served(&self.shared, &listener, routes, &active.stats)
            {
                active.served.store(Arc::new(served));
                active.config = listener;
            }
            return;
        }
        let Some(reserved) = self.reserved.remove(&listener.name) else {
            warn!(listener = listener.name, "no socket for this listener");
            return;
        };
        let name = listener.name.clone();
        // Made before broken: the old address goes away when the new one serves.
        match self.start(reserved, listener, routes) {
            Ok(Some(active)) => {
                if let Some(old) = self.active.insert(name, active) {
                    old.stop.cancel();
                }
            }
            Ok(None) => {}
            Err(error) => warn!(listener = name, %error, "listener does not start"),
        }
    }

    fn start(
        &self,
        reserved: Reserved,
        listener: Arc<Listener>,
        routes: Option<RouteSource>,
    ) -> std::io::Result<Option<ActiveListener>> {
        let bound = reserved.socket.local_addr()?;
        let socket = reserved.socket.try_clone()?;
        let acceptor = tokio::net::TcpListener::from_std(reserved.socket)?;
        let stats = Arc::new(ListenerStats::default());
        let Some(served) = served(&self.shared, &listener, routes, &stats) else {
            return Ok(None);
        };
        let stop = self.shutdown.child_token();
        info!(listener = listener.name, address = %bound, "listening");
        let served = Arc::new(ArcSwap::from_pointee(served));
        let server = serve::Server {
            served: served.clone(),
            stats: stats.clone(),
            connections: self.connections.clone(),
            stop: stop.clone(),
        };
        self.connections.spawn(server.run(acceptor));
        Ok(Some(ActiveListener { wanted: reserved.wanted, bound, socket, config: listener, served, stats, stop }))
    }

    fn remove(&mut self, name: &str) {
        if let Some(active) = self.active.remove(name) {
            info!(listener = name, "listener removed, draining");
            active.stop.cancel();
        }
    }

    fn publish(&self) {
        let views = self
            .active
            .values()
            .map(|active| ListenerView { config: active.config.clone(), address: active.bound, stats: active.stats.clone() })
            .collect();
        self.shared.listeners.store(Arc::new(views));
    }

    /// Route tables that belong to listeners in force.
    pub fn inline_tables(&self) -> Vec<Arc<RouteTable>> {
        let https = self.active.values().filter_map(|active| active.config.http());
        https
            .filter_map(|http| match &http.routes {
                Routes::Inline(table) => Some(table.clone()),
                Routes::Rds(_) => None,
            })
            .collect()
    }
}

fn served(shared: &Arc<Shared>, listener: &Listener, routes: Option<RouteSource>, stats: &Arc<ListenerStats>) -> Option<Served> {
    match &listener.serves {
        Serves::Nothing => None,
        Serves::Tcp(proxy) => Some(Served::Tcp(Arc::new(TcpContext { proxy: proxy.clone(), shared: shared.clone() }))),
        Serves::Http(http) => Some(Served::Http(Arc::new(Context {
            direction: listener.direction,
            http: http.clone(),
            routes: routes?,
            stats: stats.clone(),
            shared: shared.clone(),
        }))),
    }
}

fn is_same(active: &ActiveListener, listener: &Arc<Listener>, routes: Option<&RouteSource>) -> bool {
    let same_routes = match (&**active.served.load(), routes) {
        (Served::Tcp(_), None) => true,
        (Served::Http(context), Some(routes)) => match (&context.routes, routes) {
            (RouteSource::Fixed(a), RouteSource::Fixed(b)) => Arc::ptr_eq(a, b),
            (RouteSource::Shared(a), RouteSource::Shared(b)) => Arc::ptr_eq(a, b),
            _ => false,
        },
        _ => false,
    };
    same_routes && Arc::ptr_eq(&active.config, listener)
}

/// A listening socket, open but not yet served.
pub fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections of the former life to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
