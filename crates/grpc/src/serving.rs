//! A server that listens, on both carriers.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use bytes::Bytes;
use http::{Request, Response};
use nowire::{AcceptError, Address, Connection, Listener, Met};
use tokio::net::{TcpSocket, UnixListener};
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{BoxError, ServiceBuilder};
use tower_service::Service;

use crate::carrier::is_off;
use crate::deadline::DeadlineService;
use crate::error::Error;
use crate::handling::Handler;
use crate::panics::PanicService;
use crate::server::{Settings, resolve};
use crate::unix_socket::{SocketFile, UnixSocketFile};

/// Clients of HTTP/2 that may wait to be accepted.
const BACKLOG: u32 = 1024;

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
    /// The listener, and its file while it is in use.
    Unix(UnixListener, SocketFile),
    None,
}

/// A socket that is bound and does not listen yet.
enum Socket {
    Tcp(TcpSocket),
    Unix(UnixSocketFile, PathBuf),
    Name(String),
}

impl Socket {
    async fn bind(text: &str) -> Result<Self, Error> {
        let listen_error = |source: io::Error| Error::Listen {
            address: text.to_owned(),
            source: source.into(),
        };
        if !text.starts_with("unix:") && !text.starts_with("nowire:") {
            let address = resolve(text).await?;
            let socket = match address {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }
            .map_err(listen_error)?;
            socket.set_reuseaddr(true).map_err(listen_error)?;
            socket.bind(address).map_err(listen_error)?;
            return Ok(Self::Tcp(socket));
        }
        match text.parse() {
            Ok(Address::Unix(path)) => {
                let file = UnixSocketFile::bind(&path).map_err(listen_error)?;
                Ok(Self::Unix(file, path))
            }
            Ok(Address::Name(name)) => Ok(Self::Name(name)),
            Ok(Address::Tcp(_)) => Err(Error::Address {
                text: text.to_owned(),
                reason: "not a path or a name".to_owned(),
            }),
            Err(reason) => Err(Error::Address {
                text: text.to_owned(),
                reason: reason.to_string(),
            }),
        }
    }

    fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Self::Tcp(socket) => Address::Tcp(socket.local_addr()?),
            Self::Unix(_, path) => Address::Unix(path.clone()),
            Self::Name(name) => Address::Name(name.clone()),
        })
    }

    fn listen(self, settings: &Settings) -> io::Result<Incoming> {
        Ok(match self {
            Self::Tcp(socket) => Incoming::Tcp(
                TcpIncoming::from(socket.listen(BACKLOG)?)
                    .with_nodelay(Some(settings.tcp_nodelay))
                    .with_keepalive(settings.tcp_keepalive),
            ),
            Self::Unix(file, _) => {
                let (listener, file) = file.listen(BACKLOG)?;
                Incoming::Unix(listener, file)
            }
            Self::Name(_) => Incoming::None,
        })
    }
}

impl<S> Bound<S> {
    pub(crate) async fn new(settings: Settings, service: S, text: &str) -> Result<Self, Error> {
        let listen_error = |source: BoxError| Error::Listen {
            address: text.to_owned(),
            source,
        };
        let bound = Socket::bind(text).await?;
        let address = bound
            .address()
            .map_err(|error| listen_error(error.into()))?;
        // Announced before the socket listens: a client that can connect at all
        // finds the shorter way too.
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
        let incoming = bound
            .listen(&settings)
            .map_err(|error| listen_error(error.into()))?;
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
        let service = PanicService::new(DeadlineService::new(service, settings.timeout));
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
    service: PanicService<DeadlineService<S>>,
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
        Incoming::Unix(listener, _file) => {
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
    service: PanicService<DeadlineService<S>>,
    mut listener: Option<Listener>,
    stopped: watch::Receiver<bool>,
) where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<tower::BoxError> + Send + 'static,
    B: http_body::Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    if listener.is_none() {
        return;
    }
    let mut drivers = JoinSet::new();
    let mut connections: HashMap<Id, Connection> = HashMap::new();
    let mut stopping = pin!(stop(stopped));
    loop {
        tokio::select! {
            () = &mut stopping => break,
            Some(ended) = drivers.join_next_with_id() => forget(&mut connections, ended),
            met = accept(listener.as_ref()) => match met {
                Ok(met) => begin(settings, &service, met, &mut drivers, &mut connections),
                Err(error) => {
                    tracing::error!("new clients will use HTTP/2, those there are stay: {error}");
                    listener = None;
                }
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

/// The next client; none will come without a listener.
async fn accept(listener: Option<&Listener>) -> Result<Met, AcceptError> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
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
    service: &PanicService<DeadlineService<S>>,
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
