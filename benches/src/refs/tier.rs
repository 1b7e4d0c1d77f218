//! A process that data is passed through: a client or a service.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nowire::Keeping;
use nowire_bench_harness::cell::Carrier;
use nowire_bench_harness::machine;
use nowire_bench_harness::process::{Usage, raise_descriptor_limit};
use nowire_bench_harness::worker::{Role, answer, listen};
use nowire_grpc::{CarrierPolicy, RefOptions};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tonic::service::Routes;

use super::args::TierArgs;
use super::argument::Maker;
use super::floor;
use super::orders::{Answer, Order, Spent, Task, Work};
use super::relay::{Change, Handlers, Pass, RelayClient, RelayServer, Seen};
use crate::dial::{Channel, Dial, Tonic, policy};
use crate::measure::race;
use crate::server::{self, Serving};

/// Before the time is taken: a chain is slow to begin with when nobody has
/// passed through it yet.
const UNTIMED_CALLS: usize = 2;

/// Does what it is told until the program that started it goes away.
pub(crate) fn main(args: &TierArgs) -> Result<()> {
    machine::stay_on(args.core)?;
    raise_descriptor_limit()?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .context("building the tokio runtime")?;
    let result = runtime.block_on(async {
        match args.carrier {
            Carrier::Floor => bottom(args).await,
            Carrier::Unix => take_part(args, |address| Tonic { address }).await,
            Carrier::Plain | Carrier::Nowire | Carrier::Refs | Carrier::Fresh => {
                take_part(args, |address| Memory { address, args }).await
            }
            other => bail!("nothing is passed on over {other}"),
        }
    });
    // The thread that reads orders may be blocked for ever.
    runtime.shutdown_background();
    if let Err(error) = &result {
        answer(&Answer::Failed(format!("{error:#}")))?;
    }
    Ok(())
}

async fn take_part<D>(args: &TierArgs, dial: impl Fn(String) -> D) -> Result<()>
where
    D: Dial,
    D::Channel: Sync,
{
    let mut next = Vec::new();
    for address in &args.next {
        next.push(dial(address.clone()).dial().await?);
    }
    match args.role {
        Role::Client => {
            let channel = next.into_iter().next().context("nobody to call")?;
            call(channel, Maker::of(args.carrier)?, args.carrier).await
        }
        Role::Server => {
            let handlers = Handlers::new(next, args.trust);
            let seen = handlers.seen();
            let routes = Routes::new(RelayServer::new(handlers));
            let served = match args.carrier {
                Carrier::Unix => server::unix(&args.address, routes)?,
                _ => serve_memory(args, routes).await?,
            };
            serve(served, seen).await
        }
    }
}

/// Shared memory, with references or without.
struct Memory<'a> {
    address: String,
    args: &'a TierArgs,
}

impl Dial for Memory<'_> {
    type Channel = nowire_grpc::Channel;

    async fn dial(&self) -> Result<nowire_grpc::Channel> {
        nowire_grpc::Endpoint::from_shared(self.address.clone())?
            .carrier(CarrierPolicy::Require)
            .wait(policy(self.args.wait))
            .memory_options(|options| options.references = references(self.args))
            .connect()
            .await
            .with_context(|| format!("connecting to {}", self.address))
    }
}

async fn serve_memory(args: &TierArgs, routes: Routes) -> Result<(String, Serving)> {
    let bound = nowire_grpc::Server::builder()
        .wait(policy(args.wait))
        .memory_options(|options| options.references = references(args))
        .add_routes(routes)
        .bind(&args.address)
        .await?;
    let serving = async { Ok(bound.serve().await?) };
    Ok((args.address.clone(), Box::pin(serving)))
}

fn references(args: &TierArgs) -> RefOptions {
    let mut options = RefOptions {
        enabled: matches!(args.carrier, Carrier::Refs | Carrier::Fresh),
        ..RefOptions::default()
    };
    if args.trust {
        options.keeping = Keeping::Trust;
    }
    if let Some(bytes) = args.refer_from {
        options.reference_from_bytes = bytes;
    }
    options
}

async fn call(channel: impl Channel, maker: Maker, carrier: Carrier) -> Result<()> {
    let aside = Maker::of(Carrier::Refs)?;
    let mut orders = orders();
    answer(&Answer::Ready {
        address: String::new(),
    })?;
    while let Some(order) = orders.recv().await {
        let Order::Run { task, for_ms } = order else {
            bail!("a client cannot do {order:?}");
        };
        let Task {
            work,
            bytes,
            in_flight,
        } = task;
        let time = Duration::from_millis(for_ms);
        let clients = (0..in_flight).map(|_| RelayClient::new(channel.clone()));
        let pass = |client, hops, way_only, aside_bytes| Pass {
            client,
            maker: maker.clone(),
            bytes,
            hops,
            plain: carrier == Carrier::Plain,
            way_only,
            aside: (aside.clone(), aside_bytes),
            turn: 0,
        };
        let samples = match work {
            Work::Pass { hops } => {
                let ask = |client| pass(client, hops, false, 0);
                race(clients.map(ask).collect(), UNTIMED_CALLS, time).await?
            }
            Work::Way { hops, aside_bytes } => {
                let ask = |client| pass(client, hops, true, aside_bytes);
                race(clients.map(ask).collect(), UNTIMED_CALLS, time).await?
            }
            Work::Change { percent } => {
                let ask = |client| Change {
                    client,
                    maker: maker.clone(),
                    bytes,
                    percent,
                    turn: 0,
                };
                race(clients.map(ask).collect(), UNTIMED_CALLS, time).await?
            }
        };
        answer(&Answer::Samples(samples))?;
    }
    Ok(())
}

async fn serve(served: (String, Serving), seen: Arc<Seen>) -> Result<()> {
    let (address, serving) = served;
    answer(&Answer::Ready { address })?;
    tokio::select! {
        served = serving => served.and_then(|()| bail!("the service stopped by itself")),
        answered = account(&seen) => answered,
    }
}

/// Says again and again what was spent.
async fn account(seen: &Seen) -> Result<()> {
    let mut orders = orders();
    while let Some(order) = orders.recv().await {
        let Order::Spent = order else {
            bail!("a service cannot do {order:?}");
        };
        answer(&Answer::Spent(Spent {
            usage: Usage::now()?,
            calls: seen.calls.load(Ordering::Relaxed),
            data_bytes: seen.data_bytes.load(Ordering::Relaxed),
        }))?;
    }
    Ok(())
}

/// A tier of the floor.
async fn bottom(args: &TierArgs) -> Result<()> {
    let next = args.next.first().map(|path| floor::connect(path));
    let next = next.transpose()?;
    match args.role {
        Role::Client => {
            let mut chain = next.context("nobody to call")?;
            let mut orders = orders();
            answer(&Answer::Ready {
                address: String::new(),
            })?;
            while let Some(order) = orders.recv().await {
                let Order::Run { task, for_ms } = order else {
                    bail!("a client cannot do {order:?}");
                };
                let (Work::Pass { hops } | Work::Way { hops, .. }) = task.work else {
                    bail!("nothing is changed on the floor");
                };
                let time = Duration::from_millis(for_ms);
                answer(&Answer::Samples(floor::run(&mut chain, hops, time)?))?;
            }
            Ok(())
        }
        Role::Server => {
            let listener = UnixListener::bind(&args.address)
                .with_context(|| format!("listening on {}", args.address))?;
            let serving =
                async { tokio::task::spawn_blocking(move || floor::serve(&listener, next)).await? };
            let served: (String, Serving) = (args.address.clone(), Box::pin(serving));
            serve(served, Arc::default()).await
        }
    }
}

fn orders() -> UnboundedReceiver<Order> {
    let (sender, receiver) = unbounded_channel();
    listen(move |order| sender.send(order).is_ok());
    receiver
}
