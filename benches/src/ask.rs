//! One call of each case over gRPC: what is made ready, what is timed, and how
//! the answer is looked at.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nowire_bench_harness::mark::sum_of_equal;

use crate::dial::Channel;
use crate::exchange::{ExchangeClient, Node, Number, Payload, Probe};
use crate::tree::{self, TREE};

/// Makes one call after the other.
pub(crate) trait Ask: Send + 'static {
    /// Makes a call; returns how long it took and when it was over.
    fn ask(&mut self) -> impl Future<Output = Result<(Duration, Instant)>> + Send;
}

/// A payload there, one of the same size back.
pub(crate) struct Echo<C> {
    pub(crate) client: ExchangeClient<C>,
    pub(crate) probe: Probe,
}

impl<C: Channel> Ask for Echo<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        let request = self.probe.request();
        let start = Instant::now();
        let answer = self.client.unary(request).await?.into_inner();
        let right = self.probe.is_answered_by(&answer);
        let now = Instant::now();
        ensure!(right, "the answer does not belong to the request");
        Ok((now - start, now))
    }
}

/// A number there and back.
pub(crate) struct Noop<C> {
    pub(crate) client: ExchangeClient<C>,
    pub(crate) number: u64,
}

impl<C: Channel> Ask for Noop<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        self.number += 1;
        let value = self.number;
        let start = Instant::now();
        let answer = self.client.noop(Number { value }).await?.into_inner();
        let now = Instant::now();
        ensure!(answer.value == value, "the answer to {value} is {answer:?}");
        Ok((now - start, now))
    }
}

/// A tree that lies ready, summed by the server.
pub(crate) struct Sum<C> {
    pub(crate) client: ExchangeClient<C>,
    pub(crate) tree: Node,
}

impl<C: Channel> Ask for Sum<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        let tree = self.tree.clone();
        let start = Instant::now();
        let answer = self.client.sum(tree).await?.into_inner();
        let now = Instant::now();
        ensure!(answer.value == TREE.sum, "the server summed another tree");
        Ok((now - start, now))
    }
}

/// A tree that is built for the call.
pub(crate) struct Grow<C> {
    pub(crate) client: ExchangeClient<C>,
}

impl<C: Channel> Ask for Grow<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        let start = Instant::now();
        let answer = self.client.sum(tree::message(&TREE)).await?.into_inner();
        let now = Instant::now();
        ensure!(answer.value == TREE.sum, "the server summed another tree");
        Ok((now - start, now))
    }
}

/// A tree that the server builds, summed by the client.
pub(crate) struct Fetch<C> {
    pub(crate) client: ExchangeClient<C>,
}

impl<C: Channel> Ask for Fetch<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        let start = Instant::now();
        let tree = self.client.fetch(Number::default()).await?.into_inner();
        let sum = tree::sum_message(&tree);
        let now = Instant::now();
        ensure!(sum == TREE.sum, "the server built another tree");
        Ok((now - start, now))
    }
}

/// Bytes that are written for the call, all read by the server.
pub(crate) struct Write<C> {
    pub(crate) client: ExchangeClient<C>,
    pub(crate) bytes: usize,
    pub(crate) turn: u8,
}

impl<C: Channel> Ask for Write<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        self.turn = self.turn.wrapping_add(1);
        let start = Instant::now();
        let data = vec![self.turn; self.bytes];
        let answer = self.client.read(Payload { data }).await?.into_inner();
        let now = Instant::now();
        ensure!(
            answer.value == sum_of_equal(self.turn, self.bytes),
            "the server read other bytes than were written"
        );
        Ok((now - start, now))
    }
}
