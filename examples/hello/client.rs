//! Asks to be greeted, and tells how the call travelled.
#![forbid(unsafe_code)]

use self::proto::Person;
use self::proto::greeter_client::GreeterClient;

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("hello");
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = std::env::args().nth(1);
    let server = server.unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());

    // With plain tonic this line begins with `tonic::transport::Endpoint`.
    let channel = nowire_grpc::Endpoint::from_shared(server)?
        .connect()
        .await?;

    let mut client = GreeterClient::new(channel.clone());
    let name = "world".to_owned();
    let greeting = client.greet(Person { name }).await?.into_inner();
    println!("{}", greeting.text);
    if let Some(carrier) = channel.carrier() {
        println!("carried by {carrier}");
    }
    Ok(())
}
