//! The store behind gRPC: documents are messages, encoded on the way.

mod client;
mod document;
mod page;
mod query;
mod service;

pub use self::client::GrpcClient;
pub use self::document::Messages;
pub use self::query::Malformed;
pub use self::service::Service;

/// The messages and stubs of `cooldb.proto`.
pub mod proto {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated from cooldb.proto, which says what there is to say"
    )]
    tonic::include_proto!("cooldb");
}
