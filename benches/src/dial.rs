//! From a carrier and an address to a channel the stubs can use.

use std::future::Future;

use anyhow::{Context, Result};
use nowire_bench_harness::cell::Wait;
use nowire_grpc::CarrierPolicy;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::{Bytes, StdError};
use tonic::service::Routes;
use tonic::transport;

use crate::inprocess;

/// Any channel the generated client takes, from any task.
pub(crate) trait Channel:
    GrpcService<
        Body,
        Error: Into<StdError>,
        Future: Send,
        ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send> + Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<T> Channel for T where
    T: GrpcService<
            Body,
            Error: Into<StdError>,
            Future: Send,
            ResponseBody: http_body::Body<Data = Bytes, Error: Into<StdError> + Send>
                              + Send
                              + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// Makes channels to one server.
pub(crate) trait Dial {
    type Channel: Channel;

    fn dial(&self) -> impl Future<Output = Result<Self::Channel>>;
}

/// tonic's own transport, for `unix:` and `http:` addresses.
pub(crate) struct Tonic {
    pub(crate) address: String,
}

impl Dial for Tonic {
    type Channel = transport::Channel;

    async fn dial(&self) -> Result<transport::Channel> {
        transport::Endpoint::from_shared(self.address.clone())?
            .connect()
            .await
            .with_context(|| format!("connecting to {}", self.address))
    }
}

/// No transport at all.
pub(crate) struct Inprocess;

impl Dial for Inprocess {
    type Channel = Routes;

    async fn dial(&self) -> Result<Routes> {
        Ok(inprocess::channel())
    }
}

/// Nowire, by shared memory or not at all.
pub(crate) struct Nowire {
    pub(crate) address: String,
    pub(crate) wait: nowire_grpc::Wait,
}

impl Dial for Nowire {
    type Channel = nowire_grpc::Channel;

    async fn dial(&self) -> Result<nowire_grpc::Channel> {
        nowire_grpc::Endpoint::from_shared(self.address.clone())?
            .carrier(CarrierPolicy::Require)
            .wait(self.wait)
            .connect()
            .await
            .with_context(|| format!("connecting to {}", self.address))
    }
}

/// How to wait, as Nowire names it.
pub(crate) fn policy(wait: Wait) -> nowire_grpc::Wait {
    match wait {
        Wait::Fixed => nowire_grpc::Wait::default(),
        Wait::Adaptive => nowire_grpc::Wait::Adaptive,
        Wait::Spin => nowire_grpc::Wait::Spin,
        Wait::Park => nowire_grpc::Wait::Park,
    }
}
