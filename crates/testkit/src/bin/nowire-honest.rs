//! An honest server or client as a process of its own, to be killed, stopped
//! and looked at.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use nowire::Keeping;
use nowire_grpc::{CarrierPolicy, Channel, Endpoint, Server};
use nowire_interop::proto::testing::Empty;
use nowire_interop::proto::testing::test_service_client::TestServiceClient;
use nowire_testkit::native::{NativeServer, call_on, survey_client};
use nowire_testkit::{Calls, Load, Starved, panics, serve, warnings, watch};

/// Serves or calls and answers questions, in lines, until its input ends.
#[derive(Parser)]
struct Options {
    /// The runtime directory.
    #[arg(long)]
    runtime_dir: PathBuf,
    /// Ping a silent peer after so many milliseconds, and give it as many to answer.
    #[arg(long)]
    keep_alive_ms: Option<u64>,
    /// Window of each stream in bytes.
    #[arg(long)]
    window_bytes: Option<u32>,
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Serves the interoperability services. Says `serving` and where.
    Serve {
        /// Where to serve.
        address: String,
    },
    /// Serves native calls. Says `serving` and where; answers `seen` with how many
    /// things came right to a handler, and how many wrong. Asked to `starve`, it
    /// finds no number free for a descriptor until it is told to `feed`.
    ServeNative {
        /// Where to serve.
        address: String,
        /// How what clients pass is kept still.
        #[arg(long, default_value = "copy")]
        keeping: Tier,
    },
    /// Makes native calls. Asked `call WAY ADDRESS`, it meets the server there and
    /// calls in that way until a call fails, and says how.
    CallNative,
    /// Makes calls of every kind. Answers `tally`; at `rest` it drops the
    /// channel and at `work` it begins again.
    Load {
        /// The server.
        address: String,
        /// How many tasks call.
        #[arg(long, default_value_t = 6)]
        tasks: usize,
        /// Deadline of each call.
        #[arg(long)]
        deadline_ms: Option<u64>,
        /// Make small calls only.
        #[arg(long)]
        small: bool,
    },
    /// Connects many times, makes a call on each connection and then does
    /// nothing. Says `idle`.
    Idle {
        /// The server.
        address: String,
        /// How many connections.
        connections: usize,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    Copy,
    Seal,
    Trust,
}

fn main() -> anyhow::Result<()> {
    watch();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run(Options::parse()))
}

async fn run(options: Options) -> anyhow::Result<()> {
    let mut lines = input();
    match &options.role {
        Role::Serve { address } => {
            let address = serve(address, |server| settings(server, &options)).await?;
            println!("serving {address}");
            while let Some(line) = lines.recv().await {
                common(&line);
            }
        }
        Role::ServeNative { address, keeping } => {
            let keeping = match keeping {
                Tier::Copy => Keeping::Copy,
                Tier::Seal => Keeping::Seal,
                Tier::Trust => Keeping::Trust,
            };
            let server = NativeServer::start(&options.runtime_dir, address, keeping);
            println!("serving {address}");
            let mut starved = None;
            while let Some(line) = lines.recv().await {
                match line.as_str() {
                    "starve" => {
                        starved = Some(Starved::new());
                        println!("starve");
                    }
                    "feed" => {
                        drop(starved.take());
                        println!("feed");
                    }
                    "seen" => {
                        let (right, wrong) = (server.surveyor.right(), server.surveyor.wrong());
                        println!("seen {right} {wrong}");
                    }
                    other => common(other),
                }
            }
        }
        Role::CallNative => {
            while let Some(line) = lines.recv().await {
                match line
                    .strip_prefix("call ")
                    .and_then(|it| it.rsplit_once(' '))
                {
                    Some((way, address)) => {
                        let dir = options.runtime_dir.clone();
                        let (way, address) = (way.to_owned(), address.to_owned());
                        let calls = move || {
                            let client = survey_client(&dir, &address, Keeping::Copy);
                            call_on(&client, &way).err().map(|error| error.to_string())
                        };
                        let failed = tokio::task::spawn_blocking(calls).await?;
                        println!("{line}: {}", failed.unwrap_or_default());
                    }
                    None => common(&line),
                }
            }
        }
        Role::Load {
            address,
            tasks,
            deadline_ms,
            small,
        } => {
            let endpoint = endpoint(address, &options)?;
            let deadline = deadline_ms.map(Duration::from_millis);
            let calls = if *small { Calls::Small } else { Calls::All };
            let begin = || Load::start(&endpoint.connect_lazy(), calls, *tasks, deadline);
            let mut load = Some(begin());
            while let Some(line) = lines.recv().await {
                match line.as_str() {
                    "tally" => {
                        let tally = load.as_ref().map(Load::tally).unwrap_or_default();
                        println!("tally {}", serde_json::to_string(&tally)?);
                    }
                    "rest" => {
                        if let Some(load) = load.take() {
                            let tally = load.finish().await;
                            println!("rest {}", serde_json::to_string(&tally)?);
                        }
                    }
                    "work" => {
                        load = Some(begin());
                        println!("work");
                    }
                    other => common(other),
                }
            }
        }
        Role::Idle {
            address,
            connections,
        } => {
            let endpoint = endpoint(address, &options)?;
            let mut held: Vec<TestServiceClient<Channel>> = Vec::new();
            while let Some(line) = lines.recv().await {
                if line == "connect" {
                    for _ in 0..*connections {
                        let mut client = TestServiceClient::new(endpoint.connect().await?);
                        client.empty_call(Empty {}).await?;
                        held.push(client);
                    }
                    println!("connect");
                } else {
                    common(&line);
                }
            }
        }
    }
    Ok(())
}

/// Answers what every role is asked.
fn common(line: &str) {
    match line {
        "panics" => println!("panics {}", panics()),
        "misbehaved" => println!("misbehaved {}", warnings("misbehaved").len()),
        _ => println!("what is {line:?}?"),
    }
}

fn input() -> tokio::sync::mpsc::UnboundedReceiver<String> {
    let (sender, lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

fn settings(server: Server, options: &Options) -> Server {
    let keep_alive = options.keep_alive_ms.map(Duration::from_millis);
    server
        .http2_keepalive_interval(keep_alive)
        .http2_keepalive_timeout(keep_alive)
        .memory_options(|listen| {
            listen.runtime_dir = Some(options.runtime_dir.clone());
            if let Some(window_bytes) = options.window_bytes {
                listen.window_bytes = window_bytes;
            }
        })
}

fn endpoint(address: &str, options: &Options) -> anyhow::Result<Endpoint> {
    let mut endpoint = Endpoint::from_shared(address)?
        .carrier(CarrierPolicy::Require)
        .memory_options(|connect| {
            connect.runtime_dir = Some(options.runtime_dir.clone());
            if let Some(window_bytes) = options.window_bytes {
                connect.window_bytes = window_bytes;
            }
        });
    if let Some(keep_alive) = options.keep_alive_ms.map(Duration::from_millis) {
        endpoint = endpoint
            .http2_keep_alive_interval(keep_alive)
            .keep_alive_timeout(keep_alive);
    }
    Ok(endpoint)
}
