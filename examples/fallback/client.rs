//! Asks for the time, whoever serves it; tells which carrier was taken, and why.
#![forbid(unsafe_code)]

use tracing_subscriber::EnvFilter;

use self::proto::Nothing;
use self::proto::clock_client::ClockClient;

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("fallback");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The library says in an event why a carrier was not taken.
    let filter = EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("nowire_grpc=info")))
        .without_time()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();

    let server = std::env::args().nth(1);
    let server = server.unwrap_or_else(|| "http://127.0.0.1:50053".to_owned());
    let channel = nowire_grpc::Endpoint::from_shared(server)?
        .connect()
        .await?;

    let mut client = ClockClient::new(channel.clone());
    let time = client.now(Nothing {}).await?.into_inner();
    println!("{} seconds since 1970", time.unix_s);
    if let Some(carrier) = channel.carrier() {
        println!("carried by {carrier}");
    }
    Ok(())
}
