//! The three ways from client to server, and what a stub asks of a way.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use http::{Request, Response};
use serde::{Deserialize, Serialize};
use tonic::body::Body;
use tonic::codegen::StdError;
use tower_service::Service;

use crate::route_guide::{Guide, RouteGuideServer};

/// Whatever a generated client can call through.
pub trait Transport:
    Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>, Future: Send>
    + Clone
    + Send
    + 'static
{
}

impl<T> Transport for T where
    T: Service<Request<Body>, Response = Response<Body>, Error: Into<StdError>, Future: Send>
        + Clone
        + Send
        + 'static
{
}

/// A way from client to server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carrier {
    /// HTTP/2 over TCP on the loopback interface.
    Tcp,
    /// HTTP/2 over a Unix socket.
    Unix,
    /// Shared memory.
    Nowire,
}

impl Carrier {
    /// All carriers, in the order of the table.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Unix, Self::Nowire];
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "TCP",
            Self::Unix => "Unix socket",
            Self::Nowire => "Nowire",
        })
    }
}

/// Where a server listens. The shared memory has no address of its own: it is
/// found under the TCP one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    /// For TCP and Nowire.
    pub tcp: SocketAddr,
    /// Path of the Unix socket.
    pub unix: PathBuf,
}

/// The channel under the stubs, the same type whatever the carrier.
pub type Channel = tonic::transport::Channel;

/// Serves RouteGuide on a TCP port of the kernel's choice and at `unix`, and
/// calls `ready` once both are open.
///
/// # Errors
/// If an address cannot be listened on.
pub async fn serve(
    unix: &Path,
    ready: impl FnOnce(&Addresses) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
    let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let uds = tokio::net::UnixListener::bind(unix)?;
    let addresses = Addresses {
        tcp: tcp.local_addr()?,
        unix: unix.to_owned(),
    };
    ready(&addresses)?;
    let service = RouteGuideServer::new(Guide);
    let over_tcp = tonic::transport::Server::builder()
        .add_service(service.clone())
        .serve_with_incoming(TcpListenerStream::new(tcp));
    let over_unix = tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(uds));
    tokio::try_join!(over_tcp, over_unix)?;
    Ok(())
}

/// Connects over `carrier` and over no other.
///
/// # Errors
/// If nobody answers there, or not over this carrier.
pub async fn connect(carrier: Carrier, addresses: &Addresses) -> anyhow::Result<Channel> {
    let target = match carrier {
        Carrier::Tcp => format!("http://{}", addresses.tcp),
        Carrier::Unix | Carrier::Nowire => format!("unix:{}", addresses.unix.display()),
    };
    tonic::transport::Endpoint::from_shared(target.clone())?
        .connect()
        .await
        .with_context(|| format!("no connection to {target} over {carrier}"))
}
