//! Where channels and servers come from.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    path::PathBuf,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{
    Status, TimeoutExpired,
    body::Body,
    codegen::StdError,
    transport::{self, server::Router},
};
use tower_service::Service;

use crate::Services;

/// A channel to the server.
#[derive(Clone, Debug)]
pub struct Connected(transport::Channel);

impl Connected {
    /// What the calls travel through, in words.
    pub fn carrier(&self) -> String {
        "HTTP/2".into()
    }
}

/// Opens a channel to `http://host:port` or `unix:/path`.
///
/// # Errors
/// The address is none, or nobody answers there.
pub async fn connect(address: &str) -> Result<Connected, StdError> {
    let endpoint = transport::Endpoint::from_shared(address.to_owned())?;
    Ok(Connected(endpoint.connect().await?))
}

impl Service<Request<Body>> for Connected {
    type Response = Response<Body>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Response<Body>, StdError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        self.0.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let response = self.0.call(request);
        Box::pin(async move {
            response.await.map_err(|err| {
                // tonic calls an expired deadline CANCELLED; gRPC calls it DEADLINE_EXCEEDED.
                let err = StdError::from(err);
                let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*err);
                while let Some(this) = cause {
                    if this.is::<TimeoutExpired>() {
                        return Status::deadline_exceeded("the call's time is up").into();
                    }
                    cause = this.source();
                }
                err
            })
        })
    }
}

/// A server that has its address and does not answer yet.
pub struct Bound {
    router: Router,
    listener: Listener,
}

enum Listener {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, PathBuf),
}

/// Takes the address: `host:port` or `unix:/path`.
///
/// # Errors
/// The address is none, or cannot be had.
pub async fn bind(address: &str, services: Services) -> io::Result<Bound> {
    let listener = if let Some(path) = address.strip_prefix("unix:") {
        Listener::Unix(UnixListener::bind(path)?, path.into())
    } else {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Listener::Tcp(listener, address)
    };
    let router = transport::Server::builder()
        .add_service(services.test)
        .add_service(services.load_reports);
    Ok(Bound { router, listener })
}

impl Bound {
    /// The address as a client gives it.
    pub fn address(&self) -> String {
        match &self.listener {
            Listener::Tcp(_, address) => format!("http://{address}"),
            Listener::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// Answers calls until `signal` comes, and those in flight to their end.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve_until(self, signal: impl Future<Output = ()>) -> Result<(), StdError> {
        match self.listener {
            Listener::Tcp(listener, _) => {
                let incoming = TcpListenerStream::new(listener);
                self.router
                    .serve_with_incoming_shutdown(incoming, signal)
                    .await?;
            }
            Listener::Unix(listener, _) => {
                let incoming = UnixListenerStream::new(listener);
                self.router
                    .serve_with_incoming_shutdown(incoming, signal)
                    .await?;
            }
        }
        Ok(())
    }
}
