//! Greets people, over shared memory and HTTP/2 alike.
#![forbid(unsafe_code)]

use tonic::{Request, Response, Status};

use self::proto::greeter_server::{Greeter, GreeterServer};
use self::proto::{Greeting, Person};

mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("hello");
}

struct Polite;

#[tonic::async_trait]
impl Greeter for Polite {
    async fn greet(&self, request: Request<Person>) -> Result<Response<Greeting>, Status> {
        let name = request.into_inner().name;
        let text = format!("Hello, {name}!");
        Ok(Response::new(Greeting { text }))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:50051");

    // With plain tonic this line begins with `tonic::transport::Server`.
    nowire_grpc::Server::builder()
        .add_service(GreeterServer::new(Polite))
        .serve(address)
        .await?;
    Ok(())
}
