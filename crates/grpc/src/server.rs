//! The server's builder: what people know from `tonic::transport::Server`.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use nowire::{ConnectionOptions, KeepAlive, ListenOptions, Wait};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tower::ServiceBuilder;
use tower::layer::util::{Identity, Stack};
use tower_layer::Layer;
use tower_service::Service;

use crate::error::Error;
use crate::serving::Bound;

/// Builds a server that serves shared memory and ordinary HTTP/2 at the same
/// address; takes the place of `tonic::transport::Server`.
///
/// Settings mean the same on both carriers. What only tonic's own transport has
/// is set through [`http2_options`](Self::http2_options).
#[derive(Clone, Debug)]
pub struct Server<L = Identity> {
    settings: Settings,
    layers: ServiceBuilder<L>,
}

/// What a server is told, apart from its layers and services.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) http2: tonic::transport::Server,
    pub(crate) timeout: Option<Duration>,
    pub(crate) concurrency_limit: Option<usize>,
    pub(crate) load_shed: bool,
    pub(crate) tcp_nodelay: bool,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) memory: bool,
    pub(crate) listen: ListenOptions,
    pub(crate) connection: ConnectionOptions,
}

impl Server {
    /// A server with the settings that tonic's has when nothing is set.
    pub fn builder() -> Self {
        let settings = Settings {
            http2: tonic::transport::Server::builder(),
            timeout: None,
            concurrency_limit: None,
            load_shed: false,
            tcp_nodelay: true,
            tcp_keepalive: None,
            memory: true,
            listen: ListenOptions::default(),
            connection: ConnectionOptions::default(),
        };
        Self {
            settings,
            layers: ServiceBuilder::new(),
        }
    }
}

impl<L> Server<L> {
    /// Longest time that a handler may take, its response stream included; a
    /// shorter `grpc-timeout` of the call counts before it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Most calls that handlers work on at the same time for one connection; the
    /// others wait.
    #[must_use]
    pub fn concurrency_limit_per_connection(mut self, limit: usize) -> Self {
        self.settings.concurrency_limit = Some(limit);
        self.settings.http2 = self.settings.http2.concurrency_limit_per_connection(limit);
        self
    }

    /// Whether calls beyond the concurrency limit fail with RESOURCE_EXHAUSTED
    /// instead of waiting.
    #[must_use]
    pub fn load_shed(mut self, load_shed: bool) -> Self {
        self.settings.load_shed = load_shed;
        self.settings.http2 = self.settings.http2.load_shed(load_shed);
        self
    }

    /// Most calls that a client may have open on one connection. Through shared
    /// memory 1024 if not set, and never more than 4096.
    #[must_use]
    pub fn max_concurrent_streams(mut self, limit: impl Into<Option<u32>>) -> Self {
        let limit = limit.into();
        if let Some(limit) = limit {
            self.settings.listen.max_streams = limit.clamp(1, 4096);
        }
        self.settings.http2 = self.settings.http2.max_concurrent_streams(limit);
        self
    }

    /// Data that a client may send on one stream before the handler has read
    /// it, in bytes. Through shared memory 256 KiB if not set.
    #[must_use]
    pub fn initial_stream_window_size(mut self, bytes: impl Into<Option<u32>>) -> Self {
        let bytes = bytes.into();
        if let Some(bytes) = bytes {
            self.settings.listen.window_bytes = bytes;
        }
        self.settings.http2 = self.settings.http2.initial_stream_window_size(bytes);
        self
    }

    /// Pings a silent client after this time, on both carriers.
    #[must_use]
    pub fn http2_keepalive_interval(mut self, interval: Option<Duration>) -> Self {
        self.settings.connection.keep_alive = interval.map(|interval| KeepAlive {
            interval,
            while_idle: true,
            ..self.settings.connection.keep_alive.unwrap_or_default()
        });
        self.settings.http2 = self.settings.http2.http2_keepalive_interval(interval);
        self
    }

    /// Time a client has to answer a ping, on both carriers; 20 s if not set. To
    /// be set after the interval.
    #[must_use]
    pub fn http2_keepalive_timeout(mut self, timeout: Option<Duration>) -> Self {
        if let (Some(keep_alive), Some(timeout)) =
            (&mut self.settings.connection.keep_alive, timeout)
        {
            keep_alive.timeout = timeout;
        }
        self.settings.http2 = self.settings.http2.http2_keepalive_timeout(timeout);
        self
    }

    /// Whether TCP connections send small packets at once; true if not set.
    #[must_use]
    pub fn tcp_nodelay(mut self, enabled: bool) -> Self {
        self.settings.tcp_nodelay = enabled;
        self
    }

    /// Time after which TCP probes an idle connection; never if not set.
    #[must_use]
    pub fn tcp_keepalive(mut self, time: Option<Duration>) -> Self {
        self.settings.tcp_keepalive = time;
        self
    }

    /// How to wait for requests through shared memory; [`Wait::Adaptive`] if not set.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.settings.connection.wait = wait;
        self
    }

    /// Whether to serve shared memory at all; true if not set, unless
    /// `NOWIRE=off` is in the environment.
    #[must_use]
    pub fn memory(mut self, enabled: bool) -> Self {
        self.settings.memory = enabled;
        self
    }

    /// Changes who may connect through shared memory and how much of it they
    /// may use.
    #[must_use]
    pub fn memory_options(mut self, change: impl FnOnce(&mut ListenOptions)) -> Self {
        change(&mut self.settings.listen);
        self
    }

    /// Changes settings of tonic's own transport, for calls over HTTP/2.
    #[must_use]
    pub fn http2_options(
        mut self,
        change: impl FnOnce(tonic::transport::Server) -> tonic::transport::Server,
    ) -> Self {
        self.settings.http2 = change(self.settings.http2);
        self
    }

    /// Puts a tower layer around all services, inside those put before.
    #[must_use]
    pub fn layer<N>(self, layer: N) -> Server<Stack<N, L>> {
        Server {
            settings: self.settings,
            layers: self.layers.layer(layer),
        }
    }

    /// Begins the list of services with this one.
    pub fn add_service<S>(&mut self, service: S) -> Router<L>
    where
        S: Service<Request<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
        L: Clone,
    {
        self.add_routes(Routes::new(service))
    }

    /// Begins the list of services with these.
    pub fn add_routes(&mut self, routes: Routes) -> Router<L>
    where
        L: Clone,
    {
        Router {
            server: self.clone(),
            routes,
        }
    }
}

/// A server with its services.
#[derive(Clone, Debug)]
pub struct Router<L = Identity> {
    server: Server<L>,
    routes: Routes,
}

impl<L> Router<L> {
    /// Adds a service.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.routes = self.routes.add_service(service);
        self
    }

    /// Adds a service if there is one.
    #[must_use]
    pub fn add_optional_service<S>(self, service: Option<S>) -> Self
    where
        S: Service<Request<Body>, Error = Infallible>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        match service {
            Some(service) => self.add_service(service),
            None => self,
        }
    }

    /// Listens at an address: `host:port`, `unix:/path` or `nowire:name`.
    /// Clients that connect from now on wait until the server serves.
    ///
    /// # Errors
    /// If the address cannot be had. That it cannot be announced in shared
    /// memory is an error only for `nowire:name`; else it is logged.
    pub async fn bind<B>(self, address: impl ToString) -> Result<Bound<L::Service>, Error>
    where
        L: Layer<Routes>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
        <L::Service as Service<Request<Body>>>::Error: Into<tower::BoxError> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        let service = self.server.layers.service(self.routes.prepare());
        let settings = self.server.settings;
        Bound::new(settings, service, &address.to_string()).await
    }

    /// Listens at an address and serves until the end of the process.
    ///
    /// # Errors
    /// If the address cannot be had, or serving HTTP/2 fails.
    pub async fn serve<B>(self, address: impl ToString) -> Result<(), Error>
    where
        L: Layer<Routes>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
        <L::Service as Service<Request<Body>>>::Error: Into<tower::BoxError> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        self.bind(address).await?.serve().await
    }

    /// Listens at an address and serves until `signal`, then finishes the calls
    /// that are open.
    ///
    /// # Errors
    /// If the address cannot be had, or serving HTTP/2 fails.
    pub async fn serve_with_shutdown<B>(
        self,
        address: impl ToString,
        signal: impl Future<Output = ()>,
    ) -> Result<(), Error>
    where
        L: Layer<Routes>,
        L::Service: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        <L::Service as Service<Request<Body>>>::Future: Send,
        <L::Service as Service<Request<Body>>>::Error: Into<tower::BoxError> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        self.bind(address).await?.serve_with_shutdown(signal).await
    }
}

/// The TCP address of a text like `127.0.0.1:50051` or `localhost:50051`.
pub(crate) async fn resolve(text: &str) -> Result<SocketAddr, Error> {
    let error = |reason: String| Error::Address {
        text: text.to_owned(),
        reason,
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let mut found = tokio::net::lookup_host(text)
        .await
        .map_err(|reason| error(reason.to_string()))?;
    found
        .next()
        .ok_or_else(|| error("the host name has no address".to_owned()))
}
