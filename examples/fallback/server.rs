//! Tells the time: as a Nowire server, or with `--plain` as tonic alone does.
#![forbid(unsafe_code)]

use std::time::SystemTime;

use tonic::{Request, Response, Status};

use self::proto::clock_server::{Clock, ClockServer};
use self::proto::{Nothing, Time};

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("fallback");
}

struct SystemClock;

#[tonic::async_trait]
impl Clock for SystemClock {
    async fn now(&self, _: Request<Nothing>) -> Result<Response<Time>, Status> {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed();
        let unix_s = since_1970.map_or(0, |elapsed| elapsed.as_secs());
        Ok(Response::new(Time { unix_s }))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (options, addresses): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|word| word == "--plain");
    let address = addresses.first().map_or("127.0.0.1:50053", String::as_str);
    let clock = ClockServer::new(SystemClock);
    if options.is_empty() {
        nowire_grpc::Server::builder()
            .add_service(clock)
            .serve(address)
            .await?;
    } else {
        tonic::transport::Server::builder()
            .add_service(clock)
            .serve(address.parse()?)
            .await?;
    }
    Ok(())
}
