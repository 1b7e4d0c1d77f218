//! A farmer: brings sacks as fast as the mill lets them in.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use self::proto::Sack;
use self::proto::mill_client::MillClient;

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("streaming");
}

const SACKS: u32 = 200;
const SACK_BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = std::env::args().nth(1);
    let server = server.unwrap_or_else(|| "http://127.0.0.1:50052".to_owned());
    let channel = nowire_grpc::Endpoint::from_shared(server)?
        .connect()
        .await?;
    let mut client = MillClient::new(channel.clone());

    let sent = Arc::new(AtomicU32::new(0));
    let (cart, sacks) = mpsc::channel(1);
    let farmer = tokio::spawn(bring_sacks(cart, Arc::clone(&sent)));

    let mut flour = client.grind(ReceiverStream::new(sacks)).await?.into_inner();
    let (mut ground, mut most_waiting) = (0, 0);
    while let Some(flour) = flour.message().await? {
        ground += 1;
        let waiting = sent.load(Ordering::Relaxed).saturating_sub(ground);
        most_waiting = most_waiting.max(waiting);
        if ground.is_multiple_of(50) {
            println!("sack {:>3} is flour, {waiting} wait", flour.sack_number);
        }
    }
    farmer.await?;

    println!("{ground} of {SACKS} sacks ground; never more than {most_waiting} waited");
    if let Some(carrier) = channel.carrier() {
        println!("carried by {carrier}");
    }
    Ok(())
}

/// Does not look at the mill at all; `send` is what holds it back.
async fn bring_sacks(cart: mpsc::Sender<Sack>, sent: Arc<AtomicU32>) {
    for number in 1..=SACKS {
        let grain = vec![0; SACK_BYTES];
        if cart.send(Sack { number, grain }).await.is_err() {
            return;
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}
