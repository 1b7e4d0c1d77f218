//! The three ways from client to server, and what a stub asks of a way.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use http::{Request, Response};
use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Server};
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

/// Serves RouteGuide on a TCP port of the kernel's choice and at `unix`, and
/// calls `ready` once both are open.
///
/// # Errors
/// If an address cannot be listened on, or clients could not find the server
/// in shared memory.
pub async fn serve(
    unix: &Path,
    ready: impl FnOnce(&Addresses) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let service = RouteGuideServer::new(Guide);
    let over_tcp = Server::builder()
        .add_service(service.clone())
        .bind("127.0.0.1:0")
        .await?;
    let over_unix = Server::builder()
        .add_service(service)
        .bind(format!("unix:{}", unix.display()))
        .await?;
    let addresses = Addresses {
        tcp: over_tcp.local_addr().context("TCP without an address")?,
        unix: unix.to_owned(),
    };
    ready(&addresses)?;
    tokio::try_join!(over_tcp.serve(), over_unix.serve())?;
    Ok(())
}

/// Connects over `carrier` and over no other.
///
/// # Errors
/// If nobody answers there, or not over this carrier.
pub async fn connect(carrier: Carrier, addresses: &Addresses) -> anyhow::Result<Channel> {
    let http = format!("http://{}", addresses.tcp);
    let unix = format!("unix:{}", addresses.unix.display());
    let (target, policy, expected) = match carrier {
        Carrier::Tcp => (http, CarrierPolicy::Never, nowire_grpc::Carrier::Http2),
        Carrier::Unix => (unix, CarrierPolicy::Never, nowire_grpc::Carrier::Http2),
        Carrier::Nowire => (http, CarrierPolicy::Require, nowire_grpc::Carrier::Memory),
    };
    let channel = Endpoint::from_shared(target)?
        .carrier(policy)
        .connect()
        .await?;
    ensure!(
        channel.carrier() == Some(expected),
        "{carrier} was asked for, but calls are carried by {:?}",
        channel.carrier()
    );
    Ok(channel)
}
