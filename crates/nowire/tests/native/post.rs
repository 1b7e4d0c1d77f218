//! A service that is handed references, and hands them on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nowire::{
    AsyncReplies, AsyncRequests, Blob, CallError, Context, Pool, Ref, RefError, Replies, Requests,
    Shared,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::vitals::PATIENCE;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub(crate) enum Undelivered {
    /// There is nobody to hand it on to.
    Nobody,
    /// The next one said so, or did not get it.
    Returned,
    /// It cannot be read here.
    Unreadable,
    /// It did not get here.
    Lost,
}

#[nowire::service]
pub(crate) trait Post {
    fn sum(&self, data: Ref) -> Result<u64, Undelivered>;
    #[nowire(pool)]
    fn sum_in_pool(&self, data: Ref) -> Result<u64, Undelivered>;
    async fn sum_in_task(&self, data: Ref) -> Result<u64, Undelivered>;
    /// Several, among other arguments.
    fn weighted(&self, first: Ref, factor: u64, second: Ref, wide: [u64; 8]) -> u64;
    fn length(&self, data: Ref) -> u64;

    fn echo(&self, data: Ref) -> Ref;
    #[nowire(pool)]
    fn echo_in_pool(&self, data: Ref) -> Ref;
    async fn echo_in_task(&self, data: Ref) -> Ref;
    fn made(&self, byte: u8, bytes: u64) -> Result<Ref, Undelivered>;
    fn middle(&self, data: Ref) -> Ref;
    /// The same bytes, one of them changed.
    fn stamped(&self, data: Ref, at: u64, byte: u8) -> Result<Ref, Undelivered>;
    /// Replies with metadata too.
    fn echo_with_metadata(&self, cx: &Context, data: Ref) -> Ref;

    /// Sums at the end of the chain.
    #[nowire(pool)]
    fn sum_at_end(&self, data: Ref) -> Result<u64, Undelivered>;
    /// Comes back through the chain.
    #[nowire(pool)]
    fn stamped_at_end(&self, data: Ref) -> Result<Ref, Undelivered>;

    fn keep(&self, data: Ref) -> u64;
    fn sum_of_kept(&self) -> u64;
    fn let_go(&self);

    /// Holds it until nobody waits any more.
    #[nowire(pool)]
    fn hold_at_gate(&self, cx: &Context, data: Ref) -> u64;
    async fn hold_forever(&self, data: Ref) -> u64;
    fn holding(&self) -> u64;

    #[nowire(pool)]
    fn cut(&self, data: Ref, parts: u64, cuts: &mut Replies<Ref>);
    #[nowire(pool)]
    fn sum_all(&self, parts: Requests<Ref>) -> u64;
    async fn echo_all(&self, parts: AsyncRequests<Ref>, back: &mut AsyncReplies<Ref>);

    /// The sum, and whether it came by reference.
    fn sum_of_blob(&self, data: Blob) -> (u64, bool);
    fn joined(&self, first: Blob, between: u64, second: Blob, third: Ref) -> Blob;
    #[nowire(pool)]
    fn blob_at_end(&self, data: Blob) -> Result<Blob, Undelivered>;
    async fn echo_blobs(&self, parts: AsyncRequests<Blob>, back: &mut AsyncReplies<Blob>);

    /// Leaves this process no number for another descriptor.
    fn starve(&self);
    fn feed(&self);
}

#[derive(Default)]
pub(crate) struct Office {
    next: Option<PostClient>,
    kept: Mutex<Vec<Ref>>,
    holding: AtomicU64,
    hoard: Mutex<Vec<std::fs::File>>,
}

pub(crate) fn sum_of(data: &[u8]) -> u64 {
    data.iter().map(|byte| u64::from(*byte)).sum()
}

fn read(data: &Ref) -> Result<u64, Undelivered> {
    match data.map() {
        Ok(view) => Ok(sum_of(&view)),
        Err(RefError::Lost { .. }) => Err(Undelivered::Lost),
        Err(_) => Err(Undelivered::Unreadable),
    }
}

/// What the next one says, if it got that far.
fn returned<T>(outcome: Result<T, CallError<Undelivered>>) -> Result<T, Undelivered> {
    outcome.map_err(|error| match error {
        CallError::Returned(why) => why,
        CallError::Reference(RefError::Lost { .. }) => Undelivered::Lost,
        _ => Undelivered::Returned,
    })
}

/// Adds one for as long as it lives.
struct Held<'a>(&'a AtomicU64);

impl<'a> Held<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Office {
    pub(crate) fn before(next: Option<PostClient>) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Ref>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for Office {
    fn sum(&self, data: Ref) -> Result<u64, Undelivered> {
        read(&data)
    }

    fn sum_in_pool(&self, data: Ref) -> Result<u64, Undelivered> {
        read(&data)
    }

    async fn sum_in_task(&self, data: Ref) -> Result<u64, Undelivered> {
        tokio::task::yield_now().await;
        read(&data)
    }

    fn weighted(&self, first: Ref, factor: u64, second: Ref, wide: [u64; 8]) -> u64 {
        let [first, second] = [first, second].map(|data| read(&data).expect("readable"));
        first * factor + second + wide.iter().sum::<u64>()
    }

    fn length(&self, data: Ref) -> u64 {
        data.len() as u64
    }

    fn echo(&self, data: Ref) -> Ref {
        data
    }

    fn echo_in_pool(&self, data: Ref) -> Ref {
        data
    }

    async fn echo_in_task(&self, data: Ref) -> Ref {
        tokio::task::yield_now().await;
        data
    }

    fn made(&self, byte: u8, bytes: u64) -> Result<Ref, Undelivered> {
        let buffer = Pool::process().alloc(bytes as usize);
        let mut buffer = buffer.map_err(|_| Undelivered::Nobody)?;
        buffer.fill(byte);
        Ok(buffer.share())
    }

    fn middle(&self, data: Ref) -> Ref {
        let quarter = data.len() / 4;
        data.slice(quarter..3 * quarter).expect("in bounds")
    }

    fn stamped(&self, data: Ref, at: u64, byte: u8) -> Result<Ref, Undelivered> {
        let edit = data.edit(Pool::process());
        let mut edit = edit.map_err(|_| Undelivered::Unreadable)?;
        let written = edit.write(at as usize, &[byte]);
        written.map_err(|_| Undelivered::Unreadable)?;
        Ok(edit.share())
    }

    fn echo_with_metadata(&self, cx: &Context, data: Ref) -> Ref {
        cx.reply_metadata("length", &data.len().to_string())
            .expect("short");
        data
    }

    fn sum_at_end(&self, data: Ref) -> Result<u64, Undelivered> {
        match &self.next {
            Some(next) => returned(next.sum_at_end(data)).map(|sum| *sum),
            None => read(&data),
        }
    }

    fn stamped_at_end(&self, data: Ref) -> Result<Ref, Undelivered> {
        match &self.next {
            Some(next) => returned(next.stamped_at_end(data)),
            None => self.stamped(data, 0, 255),
        }
    }

    fn keep(&self, data: Ref) -> u64 {
        let mut kept = self.kept();
        kept.push(data);
        kept.len() as u64
    }

    fn sum_of_kept(&self) -> u64 {
        let kept = self.kept();
        let sums = kept.iter().map(|data| read(data).expect("readable"));
        sums.sum()
    }

    fn let_go(&self) {
        self.kept().clear();
    }

    fn hold_at_gate(&self, cx: &Context, data: Ref) -> u64 {
        let _held = Held::new(&self.holding);
        let patience = Instant::now() + PATIENCE;
        while !cx.is_cancelled() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
        data.len() as u64
    }

    async fn hold_forever(&self, data: Ref) -> u64 {
        let _held = Held::new(&self.holding);
        std::future::pending::<()>().await;
        data.len() as u64
    }

    fn holding(&self) -> u64 {
        self.holding.load(Ordering::SeqCst)
    }

    fn cut(&self, data: Ref, parts: u64, cuts: &mut Replies<Ref>) {
        let parts = parts as usize;
        let length = data.len() / parts;
        for part in 0..parts {
            let cut = data.slice(part * length..(part + 1) * length);
            if cuts.send(cut.expect("in bounds")).is_err() {
                return;
            }
        }
    }

    fn sum_all(&self, parts: Requests<Ref>) -> u64 {
        parts.map(|part| read(&part).expect("readable")).sum()
    }

    async fn echo_all(&self, mut parts: AsyncRequests<Ref>, back: &mut AsyncReplies<Ref>) {
        while let Some(part) = parts.recv().await {
            if back.send(part).await.is_err() {
                return;
            }
        }
    }

    fn sum_of_blob(&self, data: Blob) -> (u64, bool) {
        let bytes = data.open().expect("readable");
        (sum_of(&bytes), data.reference().is_some())
    }

    fn joined(&self, first: Blob, between: u64, second: Blob, third: Ref) -> Blob {
        let mut joined = first.open().expect("readable").to_vec();
        joined.extend(between.to_le_bytes());
        joined.extend_from_slice(&second.open().expect("readable"));
        joined.extend_from_slice(&third.map().expect("readable"));
        joined.into()
    }

    fn blob_at_end(&self, data: Blob) -> Result<Blob, Undelivered> {
        match &self.next {
            Some(next) => returned(next.blob_at_end(data)),
            None => Ok(data),
        }
    }

    async fn echo_blobs(&self, mut parts: AsyncRequests<Blob>, back: &mut AsyncReplies<Blob>) {
        while let Some(part) = parts.recv().await {
            if back.send(part).await.is_err() {
                return;
            }
        }
    }

    fn starve(&self) {
        let limit = getrlimit(Resource::Nofile);
        let lowered = Rlimit {
            current: Some(128),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, lowered).expect("a limit may be lowered");
        let mut hoard = self.hoard.lock().unwrap_or_else(PoisonError::into_inner);
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
    }

    fn feed(&self) {
        let mut hoard = self.hoard.lock().unwrap_or_else(PoisonError::into_inner);
        hoard.clear();
    }
}
