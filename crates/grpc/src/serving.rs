//! A server that listens, on both carriers.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use nowire::{Address, Connection, Listener, Met};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_service::Service;

use crate::carrier::is_off;
use crate::deadline::DeadlineService;
use crate::error::Error;
use crate::handling::Handler;
use crate::server::{Settings, resolve};
use crate::unix_socket::UnixSocket;

/// A server that listens at its address but does not serve yet.
#[derive(Debug)]
pub struct Bound<S> {
    settings: Settings,
    service: S,
    address: Address,
    incoming: Incoming,
    listener: Option<Listener>,
}

/// Where clients of HTTP/2 come from.
#[derive(Debug)]
enum Incoming {
    Tcp(TcpIncoming),
    Unix(UnixSocket),
    None,
}

impl<S> Bound<S> {
    pub(crate) async fn new(settings: Settings, service: S, text: &str) -> Result<Self, Error> {
        let listen_error = |source: Box<dyn std::error::Error + Send + Sync>| Error::Listen {
            address: text.to_owned(),
            source,
        };
        let (address, incoming) = if text.starts_with("unix:") || text.starts_with("nowire:") {
            let address: Address =
                text.parse()
                    .map_err(|reason: nowire::AddressError| Error::Address {
                        text: text.to_owned(),
                        reason: reason.to_string(),
                    })?;
            let incoming = match &address {
                Address::Unix(path) => Incoming::Unix(
                    UnixSocket::bind(path).map_err(|error| listen_error(error.into()))?,
                ),
                _ => Incoming::None,
            };
            (address, incoming)
        } else {
            let incoming = TcpIncoming::bind(resolve(text).await?)
                .map_err(|error| listen_error(error.into()))?
                .with_nodelay(Some(settings.tcp_nodelay))
                .with_keepalive(settings.tcp_keepalive);
            let address = incoming
                .local_addr()
                .map_err(|error| listen_error(error.into()))?;
            (Address::Tcp(address), Incoming::Tcp(incoming))
        };
        let named = matches!(address, Address::Name(_));
        let listener = if named || (settings.memory && !is_off()) {
            match Listener::bind(std::slice::from_ref(&address), settings.listen.clone()) {
                Ok(listener) => Some(listener),
                Err(error) if named => return Err(listen_error(error.into())),
                Err(error) => {
                    tracing::warn!(%address, "clients of this host will use HTTP/2: {error}");
                    None
                }
            }
        } else {
            None
        };
        Ok(Self {
            settings,
            service,
            address,
            incoming,
            listener,
        })
    }

    /// The TCP address, with the port that was bound when 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.address {
            Address::Tcp(address) => Some(*address),
            _ => None,
        }
    }

    /// Whether clients can connect through shared memory.
    pub fn is_announced(&self) -> bool {
        self.listener.is_some()
    }

    /// Serves until the end of the process.
    ///
    /// # Errors
    /// If serving HTTP/2 fails.
    pub async fn serve<B>(self) -> Result<(), Error>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<tower::BoxError> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        self.serve_with_shutdown(std::future::pending()).await
    }

    /// Serves until `signal`, then takes no further calls and returns when those
    /// that are open are done.
    ///
    /// # Errors
    /// If serving HTTP/2 fails.
    pub async fn serve_with_shutdown<B>(self, signal: impl Future<Output = ()>) -> Result<(), Error>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<tower::BoxError> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
    {
        let Self {
            settings,
            service,
            incoming,
            listener,
            ..
        } = self;
        let (stop, stopped) = watch::channel(false);
        let service = DeadlineService::new(service, settings.timeout);
        let memory = serve_memory(&settings, service.clone(), listener, stopped.clone());
        let http2 = serve_http2(settings.http2.clone(), service, incoming, stopped);
        let both = async { tokio::join!(memory, http2).1 };
        let mut both = pin!(both);
        tokio::select! {
            result = &mut both => return result,
            () = signal => {}
        }
        // Nobody listening any more is as good as stopped.
        let _ = stop.send(true);
        both.await
    }
}

async fn stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which only happens with the server.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve_http2<S, B>(
    server: tonic::transport::Server,
    service: DeadlineService<S>,
    incoming: Incoming,
    stopped: watch::Receiver<bool>,
) -> Result<(), Error>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<tower::BoxError> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    match incoming {
        Incoming::Tcp(incoming) => server
            .serve_with_incoming_shutdown(service, incoming, stop(stopped))
            .await
            .map_err(Error::Serve),
        Incoming::Unix(socket) => {
            let (listener, _kept) = socket.into_parts();
            let incoming = UnixListenerStream::new(listener);
            server
                .serve_with_incoming_shutdown(service, incoming, stop(stopped))
                .await
                .map_err(Error::Serve)
        }
        Incoming::None => {
            stop(stopped).await;
            Ok(())
        }
    }
}

async fn serve_memory<S, B>(
    settings: &Settings,
    service: DeadlineService<S>,
    listener: Option<Listener>,
    stopped: watch::Receiver<bool>,
) where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<tower::BoxError> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    let Some(listener) = listener else { return };
    let mut drivers = JoinSet::new();
    let mut connections: HashMap<Id, Connection> = HashMap::new();
    let mut stopping = pin!(stop(stopped));
    loop {
        tokio::select! {
            () = &mut stopping => break,
            Some(ended) = drivers.join_next_with_id() => forget(&mut connections, ended),
            met = listener.accept() => match met {
                Ok(met) => begin(settings, &service, met, &mut drivers, &mut connections),
                Err(error) => tracing::debug!("a client was not accepted: {error}"),
            },
        }
    }
    // Whoever starts next may announce itself while the last calls are finished.
    drop(listener);
    for connection in connections.values() {
        connection.go_away();
    }
    while let Some(ended) = drivers.join_next_with_id().await {
        forget(&mut connections, ended);
    }
}

fn forget(
    connections: &mut HashMap<Id, Connection>,
    ended: Result<(Id, ()), tokio::task::JoinError>,
) {
    let id = match ended {
        Ok((id, ())) => id,
        Err(error) => {
            if error.is_panic() {
                tracing::error!("a connection's driver panicked: {error}");
            }
            error.id()
        }
    };
    connections.remove(&id);
}

fn begin<S, B>(
    settings: &Settings,
    service: &DeadlineService<S>,
    met: Met,
    drivers: &mut JoinSet<()>,
    connections: &mut HashMap<Id, Connection>,
) where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<tower::BoxError> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    tracing::debug!(peer = %met.peer, "a client connected through shared memory");
    nowire::keep_freed_memory();
    let service = ServiceBuilder::new()
        .option_layer(settings.load_shed.then(LoadShedLayer::new))
        .option_layer(settings.concurrency_limit.map(ConcurrencyLimitLayer::new))
        .service(service.clone());
    let handler = Handler::new(service, &met.authority, &met.user_agent, met.peer.clone());
    match Connection::server(met, settings.connection, Box::new(handler)) {
        Ok((connection, driver)) => {
            let id = drivers.spawn(driver).id();
            connections.insert(id, connection);
        }
        Err(error) => tracing::warn!("a client could not be served: {error}"),
    }
}
