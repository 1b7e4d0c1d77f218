//! The service that data is passed through, and the calls of its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nowire_bench_harness::mark::{sum, sum_of_equal};
use tonic::{Request, Response, Status};

use super::argument::{self, Maker, changed_bytes};
use crate::ask::Ask;
use crate::dial::Channel;

pub(crate) mod stubs {
    #![allow(
        missing_docs,
        unreachable_pub,
        clippy::allow_attributes_without_reason,
        reason = "generated from proto/relay.proto, which says what there is to say"
    )]
    tonic::include_proto!("nowire.bench.relay.v1");
}

pub(crate) use stubs::relay_client::RelayClient;
pub(crate) use stubs::relay_server::RelayServer;
use stubs::{Argument, Draft, Number, Plain, relay_server::Relay};

/// Passes data on to the next services in turn, or works on it.
#[derive(Clone)]
pub(crate) struct Handlers<C> {
    next: Vec<RelayClient<C>>,
    turn: Arc<AtomicUsize>,
    seen: Arc<Seen>,
    /// References are read where they lie.
    in_place: bool,
}

/// What came by.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) calls: AtomicU64,
    /// Data that came in and went on.
    pub(crate) data_bytes: AtomicU64,
}

impl<C> Handlers<C> {
    pub(crate) fn new(next: Vec<C>, in_place: bool) -> Self
    where
        C: Channel,
    {
        Self {
            next: next.into_iter().map(RelayClient::new).collect(),
            turn: Arc::default(),
            seen: Arc::default(),
            in_place,
        }
    }

    pub(crate) fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }

    /// Whose turn it is to be called.
    fn next(&self) -> Result<RelayClient<C>, Status>
    where
        C: Clone,
    {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let next = self.next.get(turn % self.next.len().max(1));
        next.cloned()
            .ok_or_else(|| Status::failed_precondition("the chain is not that long"))
    }

    fn saw(&self, data_bytes: usize) {
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        let data_bytes = data_bytes as u64;
        self.seen
            .data_bytes
            .fetch_add(data_bytes, Ordering::Relaxed);
    }
}

#[tonic::async_trait]
impl<C: Channel + Sync> Relay for Handlers<C> {
    async fn pass(&self, request: Request<Argument>) -> Result<Response<Number>, Status> {
        let Argument {
            hops,
            data,
            aside_bytes,
        } = request.into_inner();
        let data = data.unwrap_or_default();
        let bytes = argument::carried_bytes(&data);
        let Some(hops) = hops.checked_sub(1) else {
            self.saw(bytes);
            return worked(|| {
                let value = argument::read(&data, self.in_place).map_err(unreadable)?;
                argument::read_own(aside_bytes as usize, self.in_place).map_err(unreadable)?;
                Ok(value)
            });
        };
        self.saw(2 * bytes);
        let data = Some(data);
        let argument = Argument {
            hops,
            data,
            aside_bytes,
        };
        self.next()?.pass(argument).await
    }

    async fn pass_plain(&self, request: Request<Plain>) -> Result<Response<Number>, Status> {
        let Plain { hops, data } = request.into_inner();
        let Some(hops) = hops.checked_sub(1) else {
            self.saw(data.len());
            return worked(|| Ok(sum(&data)));
        };
        self.saw(2 * data.len());
        self.next()?.pass_plain(Plain { hops, data }).await
    }

    async fn change(&self, request: Request<Draft>) -> Result<Response<Number>, Status> {
        let draft = request.into_inner();
        let data = draft.data.unwrap_or_default();
        self.saw(argument::carried_bytes(&data));
        let filling = draft.filling as u8;
        worked(|| argument::change(data, draft.percent, filling).map_err(unreadable))
    }
}

fn worked(work: impl FnOnce() -> Result<u64, Status>) -> Result<Response<Number>, Status> {
    let began = Instant::now();
    let value = work()?;
    let work_ns = began.elapsed().as_nanos() as u64;
    Ok(Response::new(Number { value, work_ns }))
}

fn unreadable(why: anyhow::Error) -> Status {
    Status::data_loss(format!("{why:#}"))
}

/// Data written for the call, passed on and summed.
pub(crate) struct Pass<C> {
    pub(crate) client: RelayClient<C>,
    pub(crate) maker: Maker,
    pub(crate) bytes: usize,
    pub(crate) hops: u32,
    /// In a field of bytes.
    pub(crate) plain: bool,
    /// Writing and summing is not timed.
    pub(crate) way_only: bool,
    /// So many bytes are written beside each call, to where those go that are passed.
    pub(crate) aside: (Maker, usize),
    pub(crate) turn: u8,
}

impl<C: Channel> Ask for Pass<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        self.turn = self.turn.wrapping_add(1);
        let (aside, aside_bytes) = &self.aside;
        if *aside_bytes > 0 {
            std::hint::black_box(aside.make(self.turn, *aside_bytes)?);
        }
        let mut start = Instant::now();
        let hops = self.hops;
        let answer = if self.plain {
            let data = vec![self.turn; self.bytes];
            if self.way_only {
                start = Instant::now();
            }
            self.client.pass_plain(Plain { hops, data }).await?
        } else {
            let data = Some(self.maker.make(self.turn, self.bytes)?);
            if self.way_only {
                start = Instant::now();
            }
            let argument = Argument {
                hops,
                data,
                aside_bytes: *aside_bytes as u32,
            };
            self.client.pass(argument).await?
        };
        let now = Instant::now();
        let Number { value, work_ns } = answer.into_inner();
        ensure!(
            value == sum_of_equal(self.turn, self.bytes),
            "the last service read other bytes than were written"
        );
        let worked = if self.way_only { work_ns } else { 0 };
        let took = (now - start).saturating_sub(Duration::from_nanos(worked));
        Ok((took, now))
    }
}

/// Data written for the call, changed by the callee.
pub(crate) struct Change<C> {
    pub(crate) client: RelayClient<C>,
    pub(crate) maker: Maker,
    pub(crate) bytes: usize,
    pub(crate) percent: u32,
    pub(crate) turn: u8,
}

impl<C: Channel> Ask for Change<C> {
    async fn ask(&mut self) -> Result<(Duration, Instant)> {
        self.turn = self.turn.wrapping_add(1);
        let filling = !self.turn;
        let start = Instant::now();
        let data = self.maker.make(self.turn, self.bytes)?;
        let draft = Draft {
            percent: self.percent,
            filling: filling.into(),
            data: Some(data),
        };
        let answer = self.client.change(draft).await?;
        let now = Instant::now();
        let changed = changed_bytes(self.bytes, self.percent);
        let wanted = sum_of_equal(filling, changed)
            .wrapping_add(sum_of_equal(self.turn, self.bytes - changed));
        ensure!(
            answer.get_ref().value == wanted,
            "the callee changed something else"
        );
        Ok((now - start, now))
    }
}
