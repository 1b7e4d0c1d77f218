//! The service every gRPC carrier serves, and the payloads both sides look at.

use std::pin::Pin;

use futures_util::{Stream, StreamExt};
use nowire_bench_harness::mark::{mark, sum};
use tonic::{Request, Response, Status, Streaming};

use crate::tree::{self, TREE};

pub(crate) mod stubs {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated from proto/bench.proto, which says what there is to say"
    )]
    tonic::include_proto!("nowire.bench.v1");
}

pub(crate) use stubs::exchange_client::ExchangeClient;
use stubs::exchange_server::{Exchange, ExchangeServer};
pub(crate) use stubs::{Node, Number, Payload};

/// The handlers, the same for every carrier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handlers;

impl Handlers {
    pub(crate) fn service() -> ExchangeServer<Self> {
        ExchangeServer::new(Self)
    }
}

#[tonic::async_trait]
impl Exchange for Handlers {
    type PingPongStream = Pin<Box<dyn Stream<Item = Result<Payload, Status>> + Send>>;

    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(answer(&request.into_inner())))
    }

    async fn ping_pong(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Self::PingPongStream>, Status> {
        let answers = request
            .into_inner()
            .map(|payload| payload.map(|payload| answer(&payload)));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn noop(&self, request: Request<Number>) -> Result<Response<Number>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn sum(&self, request: Request<Node>) -> Result<Response<Number>, Status> {
        let value = tree::sum_message(request.get_ref());
        Ok(Response::new(Number { value }))
    }

    async fn fetch(&self, _: Request<Number>) -> Result<Response<Node>, Status> {
        Ok(Response::new(tree::message(&TREE)))
    }

    async fn read(&self, request: Request<Payload>) -> Result<Response<Number>, Status> {
        let value = sum(&request.get_ref().data);
        Ok(Response::new(Number { value }))
    }
}

/// Reads every byte that came and writes as many of its own.
fn answer(request: &Payload) -> Payload {
    Payload {
        data: vec![mark(&request.data); request.data.len()],
    }
}

/// What a client sends, and what it expects back.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    request: Payload,
    mark: u8,
}

impl Probe {
    pub(crate) fn new(bytes: usize) -> Self {
        let data: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
        Self {
            mark: mark(&data),
            request: Payload { data },
        }
    }

    pub(crate) fn request(&self) -> Payload {
        self.request.clone()
    }

    /// Whether this is the answer to the request.
    pub(crate) fn is_answered_by(&self, answer: &Payload) -> bool {
        answer.data.len() == self.request.data.len()
            && answer.data.first().is_none_or(|&byte| byte == self.mark)
            && answer.data.last().is_none_or(|&byte| byte == self.mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_other_bytes_is_not_taken() {
        let probe = Probe::new(4096);
        let right = answer(&probe.request());
        assert!(probe.is_answered_by(&right));
        let mut changed = probe.request();
        changed.data[2000] ^= 0x10;
        assert!(!probe.is_answered_by(&answer(&changed)));
        let mut short = right;
        short.data.pop();
        assert!(!probe.is_answered_by(&short));
    }

    #[test]
    fn an_empty_payload_is_answered_by_an_empty_one() {
        let probe = Probe::new(0);
        assert!(probe.is_answered_by(&answer(&probe.request())));
    }
}
