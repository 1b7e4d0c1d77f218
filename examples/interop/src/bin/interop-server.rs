//! Answers the interoperability tests of any gRPC client.
#![forbid(unsafe_code)]

use std::{io::stderr, process::ExitCode};

use anyhow::{Context, bail};
use clap::{ArgAction, Parser};
use nowire_grpc::Server;
use nowire_interop::{ServerSettings, services};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

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
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::WARN.into())
        .from_env_lossy();
    fmt().with_env_filter(filter).with_writer(stderr).init();
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
    let services = services(settings);
    let server = Server::builder()
        .add_service(services.test)
        .add_service(services.load_reports)
        .bind(&address)
        .await?;
    let address = match server.local_addr() {
        Some(bound) => format!("http://{bound}"),
        None => address,
    };
    println!("listening on {address}");
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server
        .serve_with_shutdown(stopped)
        .await
        .context("the server failed")
}
