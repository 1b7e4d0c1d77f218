//! A mill: takes the next sack when it has ground the one before.
#![forbid(unsafe_code)]

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use self::proto::mill_server::{Mill, MillServer};
use self::proto::{Flour, Sack};

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("streaming");
}

const GRINDING: Duration = Duration::from_millis(5);

struct SlowMill;

#[tonic::async_trait]
impl Mill for SlowMill {
    type GrindStream = ReceiverStream<Result<Flour, Status>>;

    async fn grind(
        &self,
        request: Request<Streaming<Sack>>,
    ) -> Result<Response<Self::GrindStream>, Status> {
        let mut sacks = request.into_inner();
        let (flour, out) = mpsc::channel(1);
        tokio::spawn(async move {
            // Nothing says "stop" to the client. A sack that is not asked for
            // here stays where it is, and when that place is full the client's
            // next one has to wait.
            while let Ok(Some(sack)) = sacks.message().await {
                tokio::time::sleep(GRINDING).await;
                let ground = Flour {
                    sack_number: sack.number,
                    grams: sack.grain.len() as u64,
                };
                if flour.send(Ok(ground)).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(out)))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:50052");
    nowire_grpc::Server::builder()
        .add_service(MillServer::new(SlowMill))
        .serve(address)
        .await?;
    Ok(())
}
