//! A service that takes, keeps, passes on and gives out large data.

mod contents;
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    reason = "generated; proto/depot.proto tells"
)]
mod proto {
    tonic::include_proto!("nowire.testkit");
}

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nowire::refs::PAGE_BYTES;
use nowire::{Pool, RefError};
use nowire_grpc::{Blob, Channel};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

pub use contents::{contents, is_made_of};
pub use proto::depot_client::DepotClient;
pub use proto::depot_server::DepotServer;
pub use proto::{Cut, Nothing, Order, Parcel, Receipt};

use proto::depot_server::Depot as Service;

/// A depot, and where it forwards to.
#[derive(Clone, Debug)]
pub struct Depot {
    pool: Pool,
    next: Option<DepotClient<Channel>>,
    kept: Arc<Mutex<Vec<Parcel>>>,
}

impl Depot {
    /// One that makes things in `pool` and forwards over `next`, if at all.
    pub fn new(pool: Pool, next: Option<Channel>) -> Self {
        Self {
            pool,
            next: next.map(DepotClient::new),
            kept: Arc::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Parcel>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something of `bytes` bytes that is made of `seed`.
fn made(seed: u64, bytes: usize, cut: Cut, pool: &Pool) -> Result<Blob, RefError> {
    Ok(match cut {
        Cut::Nothing => contents(seed, bytes).into(),
        Cut::Slice => {
            let beside = contents(seed + 1, bytes);
            let all = [&beside[..], &contents(seed, bytes), &beside].concat();
            pool.copy_of(&all)?.slice(bytes..2 * bytes)?.into()
        }
        Cut::Edited => {
            let right = contents(seed, bytes);
            let pages = 2 * PAGE_BYTES..4 * PAGE_BYTES;
            let mut first = right.clone();
            first[pages.clone()].copy_from_slice(&contents(seed + 1, bytes)[pages.clone()]);
            let mut edit = pool.copy_of(&first)?.edit(pool)?;
            edit.write(pages.start, &right[pages])?;
            edit.share().into()
        }
    })
}

impl Parcel {
    /// One whose content is made of `seed`.
    pub fn of(seed: u64, content: impl Into<Blob>) -> Self {
        Self {
            seed,
            content: Some(content.into()),
            ..Self::default()
        }
    }

    fn blobs(&self) -> impl Iterator<Item = (u64, &Blob)> {
        let all = self.content.iter().chain(&self.others);
        (self.seed..).zip(all)
    }
}

impl Receipt {
    /// Looks at what is in a parcel.
    pub fn look(&mut self, parcel: &Parcel) {
        self.note(parcel);
        for (seed, blob) in parcel.blobs() {
            match blob.open() {
                Ok(bytes) if is_made_of(seed, &bytes) => {}
                Ok(_) => self.wrong += 1,
                Err(error) => {
                    self.failed += 1;
                    self.failure = error.to_string();
                }
            }
        }
    }

    /// Notes what is in a parcel, without a look at it.
    pub fn note(&mut self, parcel: &Parcel) {
        for (_, blob) in parcel.blobs() {
            self.blobs += 1;
            self.by_reference += u32::from(blob.reference().is_some());
            self.bytes += blob.len() as u64;
        }
    }
}

#[tonic::async_trait]
impl Service for Depot {
    type UnloadStream = Pin<Box<dyn Stream<Item = Result<Parcel, Status>> + Send>>;
    type ExchangeStream = Self::UnloadStream;

    async fn store(&self, request: Request<Parcel>) -> Result<Response<Receipt>, Status> {
        let mut receipt = Receipt::default();
        receipt.look(request.get_ref());
        Ok(Response::new(receipt))
    }

    async fn keep(&self, request: Request<Parcel>) -> Result<Response<Receipt>, Status> {
        let parcel = request.into_inner();
        let mut receipt = Receipt::default();
        receipt.note(&parcel);
        self.kept().push(parcel);
        Ok(Response::new(receipt))
    }

    async fn inspect(&self, _: Request<Nothing>) -> Result<Response<Receipt>, Status> {
        let mut receipt = Receipt::default();
        for parcel in &*self.kept() {
            receipt.look(parcel);
        }
        Ok(Response::new(receipt))
    }

    async fn clear(&self, _: Request<Nothing>) -> Result<Response<Receipt>, Status> {
        let mut receipt = Receipt::default();
        let kept = std::mem::take(&mut *self.kept());
        kept.iter().for_each(|parcel| receipt.note(parcel));
        Ok(Response::new(receipt))
    }

    async fn forward(&self, request: Request<Parcel>) -> Result<Response<Receipt>, Status> {
        let next = self.next.clone();
        let mut next = next.ok_or_else(|| Status::failed_precondition("the last depot"))?;
        next.keep(request.into_inner()).await
    }

    async fn r#return(&self, request: Request<Parcel>) -> Result<Response<Parcel>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn wait(&self, request: Request<Parcel>) -> Result<Response<Receipt>, Status> {
        let parcel = request.into_inner();
        std::future::pending::<()>().await;
        drop(parcel);
        Ok(Response::new(Receipt::default()))
    }

    async fn load(&self, request: Request<Streaming<Parcel>>) -> Result<Response<Receipt>, Status> {
        let mut parcels = request.into_inner();
        let mut receipt = Receipt::default();
        while let Some(parcel) = parcels.message().await? {
            receipt.look(&parcel);
            if parcel.pause_us > 0 {
                tokio::time::sleep(Duration::from_micros(parcel.pause_us.into())).await;
            }
        }
        Ok(Response::new(receipt))
    }

    async fn unload(
        &self,
        request: Request<Order>,
    ) -> Result<Response<Self::UnloadStream>, Status> {
        let order = request.into_inner();
        let pool = self.pool.clone();
        let parcels = (0..u64::from(order.count)).map(move |number| {
            let seed = order.seed + number;
            let content = made(seed, order.bytes as usize, order.cut(), &pool);
            let content = content.map_err(|error| nowire_grpc::ref_status(&error))?;
            Ok(Parcel::of(seed, content))
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(parcels))))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<Parcel>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let parcels = request.into_inner();
        Ok(Response::new(Box::pin(parcels.map(|parcel| parcel))))
    }
}
