//! The serving process of one carrier.

use std::future::Future;
use std::pin::Pin;

use anyhow::{Context, Result, bail};
use nowire_bench_harness::cell::{Carrier, Wait};
use nowire_bench_harness::control::{Answer, Order};
use nowire_bench_harness::process::{Memory, Usage};
use nowire_bench_harness::worker::{WorkerArgs, answer};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::dial::policy;
use crate::exchange::Handlers;
use crate::floor;
use crate::native_client::{heap, keeping};
use crate::native_service;
use crate::worker::orders;

/// Room for the tree in a reply.
const REPLY_BYTES: usize = 256 << 10;

/// What runs until the server stops.
pub(crate) type Serving = Pin<Box<dyn Future<Output = Result<()>>>>;

/// Serves until the program that started this process goes away.
pub(crate) async fn main(args: &WorkerArgs) -> Result<()> {
    let (address, serving) = match args.carrier {
        Carrier::Floor => floor(&args.address)?,
        Carrier::Unix => unix(&args.address, Routes::new(Handlers::service()))?,
        Carrier::Tcp => tcp()?,
        Carrier::Nowire => nowire(&args.address, args.wait).await?,
        Carrier::Inprocess | Carrier::Memcpy => bail!("in process, the client is the server"),
        Carrier::Trust | Carrier::Copy | Carrier::Sealed => native(args)?,
        Carrier::Iceoryx2 => bail!("iceoryx2 is in another program"),
        Carrier::Plain | Carrier::Refs | Carrier::Fresh | Carrier::Ray => {
            bail!("references have tiers of their own")
        }
    };
    answer(&Answer::Ready { address })?;
    tokio::select! {
        served = serving => served.and_then(|()| bail!("the server stopped by itself")),
        answered = answer_orders() => answered,
    }
}

async fn answer_orders() -> Result<()> {
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        answer(&match order {
            Order::Usage => Answer::Usage(Usage::now()?),
            Order::Memory => Answer::Memory(Memory::now()?),
            other => bail!("a server cannot do {other:?}"),
        })?;
    }
    Ok(())
}

fn floor(path: &str) -> Result<(String, Serving)> {
    let listener = std::os::unix::net::UnixListener::bind(path)
        .with_context(|| format!("listening on {path}"))?;
    let serving = async { tokio::task::spawn_blocking(move || floor::serve(&listener)).await? };
    Ok((path.into(), Box::pin(serving)))
}

async fn nowire(address: &str, wait: Wait) -> Result<(String, Serving)> {
    let bound = nowire_grpc::Server::builder()
        .wait(policy(wait))
        .add_service(Handlers::service())
        .bind(address)
        .await?;
    let serving = async { Ok(bound.serve().await?) };
    Ok((address.into(), Box::pin(serving)))
}

/// On threads of its own, as any server of native calls.
fn native(args: &WorkerArgs) -> Result<(String, Serving)> {
    let running = nowire::Server::builder()
        .add(native_service::ExchangeServer::new(
            native_service::Handlers,
        ))
        .keeping(keeping(args.carrier))
        .wait(policy(args.wait))
        .reply_scope_bytes(REPLY_BYTES)
        .options(|options| {
            options.heap = Some(heap(args.carrier));
        })
        .start(&args.address)?;
    let serving = async {
        let _running = running;
        std::future::pending().await
    };
    Ok((args.address.clone(), Box::pin(serving)))
}

/// Serves HTTP/2 at a Unix socket; returns where and what serves.
pub(crate) fn unix(path: &str, routes: Routes) -> Result<(String, Serving)> {
    let listener = UnixListener::bind(path).with_context(|| format!("listening on {path}"))?;
    let serving = async {
        tonic::transport::Server::builder()
            .add_routes(routes)
            .serve_with_incoming(UnixListenerStream::new(listener))
            .await?;
        Ok(())
    };
    Ok((format!("unix:{path}"), Box::pin(serving)))
}

fn tcp() -> Result<(String, Serving)> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())
        .context("listening on 127.0.0.1")?
        .with_nodelay(Some(true));
    let address = format!("http://{}", incoming.local_addr()?);
    let serving = async {
        tonic::transport::Server::builder()
            .add_service(Handlers::service())
            .serve_with_incoming(incoming)
            .await?;
        Ok(())
    };
    Ok((address, Box::pin(serving)))
}
