//! A process that shakes hands and then lies.
#![forbid(unsafe_code)]

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use nowire::{Address, HeapOptions, ListenOptions, Listener};
use nowire_testkit::native::{NativeDeed, NativeLie};
use nowire_testkit::{Deed, Failure, HostilePeer, Lie, Moment};

/// Shakes hands, lies and says how it went, in lines.
#[derive(Parser)]
struct Options {
    /// Which side to play.
    side: Role,
    /// The honest server, or where to wait for an honest client.
    #[arg(long)]
    address: Address,
    /// The runtime directory.
    #[arg(long)]
    runtime_dir: PathBuf,
    /// The lie to tell, by name; then the honest side has to hang up.
    #[arg(long)]
    lie: Option<String>,
    /// When to tell it.
    #[arg(long, default_value = "mid-call")]
    moment: When,
    /// The deed to do, by name, instead of a lie.
    #[arg(long, conflicts_with = "lie")]
    deed: Option<String>,
    /// Whether to make native calls.
    #[arg(long)]
    native: bool,
    /// How many connections to do the deed on, one after another.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Client,
    Server,
}

#[derive(Clone, Copy, ValueEnum)]
enum When {
    AtOnce,
    MidCall,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let listener = match options.side {
        Role::Client => None,
        Role::Server => {
            let listen = ListenOptions {
                runtime_dir: Some(options.runtime_dir.clone()),
                heap: options.native.then(HeapOptions::default),
                ..ListenOptions::default()
            };
            Some(Listener::bind(
                std::slice::from_ref(&options.address),
                listen,
            )?)
        }
    };
    println!("ready");
    let mut held = Vec::new();
    for round in 0..options.rounds {
        let mut peer = match &listener {
            Some(listener) => HostilePeer::accept(listener).await?,
            None if options.native => {
                HostilePeer::connect_native(&options.address, &options.runtime_dir).await?
            }
            None => HostilePeer::connect(&options.address, &options.runtime_dir).await?,
        };
        match (&options.lie, &options.deed) {
            (Some(name), _) if options.native => tell_native(name, &mut peer)?,
            (Some(name), _) => tell(name, options.moment, &mut peer)?,
            (None, Some(name)) if options.native => act_native(name, &mut peer)?,
            (None, Some(name)) => act(name, &mut peer, round.into())?,
            (None, None) => bail!("--lie or --deed is needed"),
        }
        if options.rounds == 1 {
            held.push(peer);
        }
    }
    println!("done");
    // What was sent stays with the honest side until we are told to go.
    let mut rest = String::new();
    std::io::stdin().read_to_string(&mut rest)?;
    Ok(())
}

fn tell(name: &str, moment: When, peer: &mut HostilePeer) -> anyhow::Result<()> {
    let lie = Lie::named(name).context("no such lie")?;
    let moment = match moment {
        When::AtOnce => Moment::AtOnce,
        When::MidCall => Moment::MidCall,
    };
    lie.tell(peer, moment)?;
    peer.wait_for_cut_off()?;
    println!("cut off");
    Ok(())
}

fn tell_native(name: &str, peer: &mut HostilePeer) -> anyhow::Result<()> {
    let lie = NativeLie::named(name).context("no such lie")?;
    match lie.tell(peer) {
        // It was noticed before all of it was told.
        Ok(()) | Err(Failure::HungUp) => {}
        Err(failure) => return Err(failure.into()),
    }
    peer.wait_for_cut_off()?;
    println!("cut off");
    Ok(())
}

fn act_native(name: &str, peer: &mut HostilePeer) -> anyhow::Result<()> {
    let deed = NativeDeed::named(name).context("no such deed")?;
    match deed.run(peer) {
        Ok(times) => println!("did {times}"),
        Err(Failure::HungUp) => println!("hung up"),
        Err(failure) => return Err(failure.into()),
    }
    Ok(())
}

fn act(name: &str, peer: &mut HostilePeer, round: u64) -> anyhow::Result<()> {
    let deed = Deed::named(name).context("no such deed")?;
    match deed.run(peer, round) {
        Ok(times) => println!("did {times}"),
        Err(Failure::HungUp) => println!("hung up"),
        Err(failure) => return Err(failure.into()),
    }
    Ok(())
}
