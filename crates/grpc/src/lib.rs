//! gRPC without the wire: unchanged tonic services call each other through
//! shared memory, and over HTTP/2 where they share none.
//!
//! The server changes its builder and the client its endpoint; `.proto` files,
//! handlers, interceptors and tests stay as they are.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! # use tonic_health::pb::health_client::HealthClient as RouteGuideClient;
//! # let (_, guide) = tonic_health::server::health_reporter();
//! // the server
//! nowire_grpc::Server::builder().add_service(guide).serve("127.0.0.1:50051").await?;
//! // the client
//! let channel = nowire_grpc::Endpoint::from_shared("http://127.0.0.1:50051")?.connect().await?;
//! let mut client = RouteGuideClient::new(channel);
//! # Ok(())
//! # }
//! ```
//!
//! A handler learns who calls it through shared memory from the request's
//! extensions: `request.extensions().get::<Arc<nowire_grpc::Peer>>()`.
//!
//! Large data in a message goes by reference if it is a [`Blob`], the Rust type of
//! the message `nowire.Blob`; see `nowire-build`.
#![forbid(unsafe_code)]

mod body;
mod call;
mod carrier;
mod channel;
mod codec;
mod deadline;
mod endpoint;
mod error;
mod handling;
mod head;
mod panics;
mod server;
mod serving;
mod unix_socket;

pub use carrier::{Carrier, CarrierPolicy};
pub use channel::{Channel, ResponseFuture};
pub use codec::{ProstCodec, ReferringEncoder, ref_status};
pub use endpoint::Endpoint;
pub use error::Error;
pub use nowire::{Blob, ConnectOptions, ListenOptions, Peer, RefOptions, Wait};
pub use server::{Router, Server};
pub use serving::Bound;
