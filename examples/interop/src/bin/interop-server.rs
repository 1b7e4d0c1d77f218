//! Answers the interoperability tests of any gRPC client.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use anyhow::{Context, Error, bail};
use clap::{ArgAction, Parser};
use nowire_interop::{ServerSettings, services, transport};
use tokio::signal::unix::{SignalKind, signal};

/// The gRPC interoperability server.
#[derive(Parser)]
#[command(rename_all = "snake_case", version)]
struct Options {
    /// Port to listen on, on all addresses of this host; 0 lets the system choose.
    #[arg(long, required_unless_present = "address", conflicts_with = "address")]
    port: Option<u16>,
    /// Where to listen: host:port, unix:/path or nowire:name.
    #[arg(long)]
    address: Option<String>,
    /// TLS is not offered; only `false` is accepted.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_value_t = false, default_missing_value = "true")]
    use_tls: bool,
    /// Largest request that is read, in bytes.
    #[arg(long, default_value_t = ServerSettings::default().max_request_bytes)]
    max_request_bytes: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("error: {err:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<()> {
    if options.use_tls {
        bail!("this server has no TLS; start it without --use_tls or with --use_tls=false");
    }
    let address = match (options.address, options.port) {
        (Some(address), _) => address,
        (None, Some(port)) => format!("0.0.0.0:{port}"),
        (None, None) => bail!("--port or --address is needed"),
    };
    let mut settings = ServerSettings::default();
    settings.max_request_bytes = options.max_request_bytes;

    // Before the address is taken: a signal that comes as soon as we listen must not kill us.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = transport::bind(&address, services(settings))
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on {}", server.address());
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server
        .serve_until(stopped)
        .await
        .map_err(Error::from_boxed)
        .context("the server failed")
}
