//! The service that the tests call, and its one implementation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nowire::{
    AsyncReplies, AsyncRequests, Context, Kept, Ptr, Replies, Requests, Scope, ScopeError, Shared,
    Slice, Str,
};

/// Something that points, and nests.
#[derive(Debug, PartialEq, Shared)]
pub(crate) struct Tree<'s> {
    pub(crate) name: Str<'s>,
    pub(crate) weight: u64,
    pub(crate) children: Slice<'s, Tree<'s>>,
}

#[derive(Debug, Shared)]
pub(crate) struct Named<'s> {
    pub(crate) name: Str<'s>,
}

/// A text, and where its builder has it.
#[derive(Debug, Shared)]
pub(crate) struct Placed<'s> {
    pub(crate) text: Str<'s>,
    pub(crate) at: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub(crate) enum Refusal {
    DividedByZero { dividend: u64 },
    TooMuch(u32),
    NoRoom,
}

/// What handlers have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Shared)]
pub(crate) struct Seen {
    /// Handlers that wait at the gate.
    pub(crate) waiting: u64,
    /// Handlers that found their call cancelled.
    pub(crate) cancelled: u64,
    /// Tasks that were dropped before they were done.
    pub(crate) dropped: u64,
    /// Items of streams that handlers have sent.
    pub(crate) sent: u64,
    /// Items of streams that handlers have taken.
    pub(crate) taken: u64,
    /// Streams that ended for their handlers.
    pub(crate) ended: u64,
    /// Sums of the pool.
    pub(crate) added: u64,
}

#[nowire::service]
pub(crate) trait Lab {
    fn nothing(&self);
    fn add(&self, a: u64, b: u64) -> u64;
    #[nowire(pool)]
    fn add_in_pool(&self, a: u64, b: u64) -> u64;
    async fn add_in_task(&self, a: u64, b: u64) -> u64;

    fn weigh(&self, tree: &Tree) -> u64;
    #[nowire(pool)]
    fn weigh_in_pool(&self, tree: &Tree) -> u64;
    async fn weigh_in_task(&self, tree: &Tree<'_>) -> u64;
    fn weigh_two(&self, left: &Tree, right: &Tree) -> u64;
    /// Where the handler has the argument.
    fn address_of(&self, tree: &Tree) -> u64;
    fn length(&self, bytes: &Slice<'_, u8>) -> u64;

    /// Holds the tree; true where the caller built it.
    fn keep(&self, tree: Kept<Tree<'static>>) -> bool;
    #[nowire(pool)]
    fn keep_in_pool(&self, tree: Kept<Tree<'static>>) -> bool;
    /// Drops the tree before it replies.
    fn glance(&self, tree: Kept<Tree<'static>>) -> u64;
    /// Holds the tree, and waits at the gate.
    #[nowire(pool)]
    fn keep_at_gate(&self, cx: &Context, tree: Kept<Tree<'static>>) -> u64;
    fn weigh_kept(&self) -> u64;
    /// How many were kept.
    fn let_go(&self) -> u64;

    fn divide(&self, a: u64, b: u64) -> Result<u64, Refusal>;
    fn refuse(&self, n: u32) -> Result<(), Refusal>;
    fn repeat<'r>(&self, text: &Str<'_>, times: u64, out: &'r Scope)
    -> Result<Placed<'r>, Refusal>;
    #[nowire(pool)]
    fn repeat_in_pool<'r>(
        &self,
        text: &Str<'_>,
        times: u64,
        out: &'r Scope,
    ) -> Result<Placed<'r>, Refusal>;
    /// Builds a part, sleeps, and builds the rest.
    async fn repeat_in_task<'r>(
        &self,
        text: &Str<'_>,
        times: u64,
        out: &'r mut Scope,
    ) -> Result<Placed<'r>, Refusal>;
    /// Builds its reply in a scope of its own making.
    async fn astray<'r>(&self, out: &'r mut Scope) -> Str<'r>;
    /// Waits for ever, with a part of the reply built.
    async fn build_forever<'r>(&self, out: &'r mut Scope) -> Str<'r>;
    fn wide(&self, seed: u64) -> [u64; 600];
    /// More than a message carries.
    fn too_wide<'r>(&self, out: &'r Scope) -> (Str<'r>, [u64; 8000]);

    fn panic_here(&self);
    #[nowire(pool)]
    fn panic_in_pool(&self);
    async fn panic_in_task(&self);

    /// Waits until the gate is opened, or nobody waits for the call any more.
    #[nowire(pool)]
    fn wait_at_gate(&self, cx: &Context) -> u64;
    /// Waits at the gate with an argument in hand.
    #[nowire(pool)]
    fn weigh_at_gate(&self, cx: &Context, tree: &Tree) -> u64;
    fn open_gate(&self);
    fn close_gate(&self);
    async fn wait_forever(&self) -> u64;
    /// Holds the polling thread up.
    fn dawdle(&self, ms: u64);
    fn seen(&self) -> Seen;

    fn pid(&self) -> u32;
    fn caller(&self, cx: &Context) -> u32;
    fn header<'r>(&self, cx: &Context, name: &Str<'_>, out: &'r Scope) -> Option<Str<'r>>;
    fn headers(&self, cx: &Context) -> u64;
    /// Replies with metadata of that length.
    fn echo_header(&self, cx: &Context, length: u64) -> u64;
    /// Milliseconds until the caller stops waiting.
    fn patience_ms(&self, cx: &Context) -> Option<u64>;

    #[nowire(pool)]
    fn count(&self, n: u64, items: &mut Replies<u64>);
    #[nowire(pool)]
    fn names(&self, n: u64, items: &mut Replies<Named<'static>>) -> Result<(), Refusal>;
    /// Two items from each scope.
    #[nowire(pool)]
    fn pairs(&self, n: u64, items: &mut Replies<Named<'static>>);
    #[nowire(pool)]
    fn blocks(&self, n: u64, items: &mut Replies<[u64; 100]>);
    #[nowire(pool)]
    fn too_wide_blocks(&self, items: &mut Replies<[u64; 8000]>);
    #[nowire(pool)]
    fn sum(&self, items: Requests<u64>) -> u64;
    #[nowire(pool)]
    fn weigh_all(&self, items: Requests<Tree<'static>>) -> u64;
    #[nowire(pool)]
    fn lengths(&self, items: Requests<Named<'static>>, lengths: &mut Replies<u64>);
    /// Takes so many items and leaves the rest.
    #[nowire(pool)]
    fn sum_of_first(&self, n: u64, items: Requests<Tree<'static>>) -> u64;
    /// Takes no item before the gate is open.
    #[nowire(pool)]
    fn sum_after_gate(&self, cx: &Context, items: Requests<u64>) -> u64;

    async fn count_in_task(&self, n: u64, items: &mut AsyncReplies<u64>);
    async fn names_in_task(
        &self,
        n: u64,
        items: &mut AsyncReplies<Named<'static>>,
    ) -> Result<(), Refusal>;
    async fn sum_in_task(&self, items: AsyncRequests<u64>) -> u64;
    async fn weigh_all_in_task(&self, items: AsyncRequests<Tree<'static>>) -> u64;
    async fn lengths_in_task(
        &self,
        items: AsyncRequests<Named<'static>>,
        lengths: &mut AsyncReplies<u64>,
    );
    /// Returns while somebody else goes on taking its items.
    async fn leave_items(&self, items: AsyncRequests<u64>) -> u64;
}

#[derive(Debug, Default)]
struct Gate {
    open: bool,
}

#[derive(Default)]
pub(crate) struct Bench {
    kept: Mutex<Vec<Kept<Tree<'static>>>>,
    gate: Mutex<Gate>,
    opened: Condvar,
    waiting: AtomicU64,
    cancelled: AtomicU64,
    dropped: AtomicU64,
    sent: AtomicU64,
    taken: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    added: AtomicU64,
}

pub(crate) fn weight(tree: &Tree<'_>) -> u64 {
    tree.weight + tree.children.iter().map(weight).sum::<u64>()
}

/// A tree of that depth and width, whose nodes weigh one each.
pub(crate) fn tree<'s>(scope: &'s Scope, depth: u32, width: u32) -> Result<Tree<'s>, ScopeError> {
    let children = if depth == 0 { 0 } else { width };
    let children: Result<Vec<_>, _> = (0..children)
        .map(|_| tree(scope, depth - 1, width))
        .collect();
    Ok(Tree {
        name: scope.str(&format!("depth {depth}"))?,
        weight: 1,
        children: scope.slice_of(children?)?,
    })
}

/// A tree without children.
pub(crate) fn leaf<'s>(scope: &'s Scope, weight: u64) -> Ptr<'s, Tree<'s>> {
    let name = scope.str("leaf").expect("room");
    let leaf = Tree {
        name,
        weight,
        children: Slice::empty(),
    };
    scope.build(leaf).expect("room")
}

/// Adds one to a counter when it is dropped before [`done`](Self::done).
struct Dropped<'a>(Option<&'a AtomicU64>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        if let Some(counter) = self.0 {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Bench {
    fn kept(&self) -> MutexGuard<'_, Vec<Kept<Tree<'static>>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the gate was opened while somebody waited for the call.
    fn pass(&self, cx: &Context) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let patience = Instant::now() + Duration::from_secs(60);
        let mut gate = self.gate();
        while !gate.open && !cx.is_cancelled() && Instant::now() < patience {
            let waited = self.opened.wait_timeout(gate, Duration::from_millis(1));
            gate = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let passed = gate.open;
        drop(gate);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if !passed {
            self.cancelled.fetch_add(1, Ordering::SeqCst);
        }
        passed
    }
}

fn repeated<'r>(text: &str, times: u64, out: &'r Scope) -> Result<Placed<'r>, Refusal> {
    let times = usize::try_from(times).map_err(|_| Refusal::TooMuch(u32::MAX))?;
    let text = out.str(&text.repeat(times)).map_err(|_| Refusal::NoRoom)?;
    let at = text.as_ptr().addr() as u64;
    Ok(Placed { text, at })
}

impl Lab for Bench {
    fn nothing(&self) {}

    fn add(&self, a: u64, b: u64) -> u64 {
        a + b
    }

    fn add_in_pool(&self, a: u64, b: u64) -> u64 {
        self.added.fetch_add(1, Ordering::SeqCst);
        a + b
    }

    async fn add_in_task(&self, a: u64, b: u64) -> u64 {
        tokio::task::yield_now().await;
        a + b
    }

    fn weigh(&self, tree: &Tree) -> u64 {
        weight(tree)
    }

    fn weigh_in_pool(&self, tree: &Tree) -> u64 {
        weight(tree)
    }

    async fn weigh_in_task(&self, tree: &Tree<'_>) -> u64 {
        tokio::task::yield_now().await;
        weight(tree)
    }

    fn weigh_two(&self, left: &Tree, right: &Tree) -> u64 {
        weight(left) + weight(right)
    }

    fn address_of(&self, tree: &Tree) -> u64 {
        std::ptr::from_ref(tree).addr() as u64
    }

    fn length(&self, bytes: &Slice<'_, u8>) -> u64 {
        bytes.len() as u64
    }

    fn keep(&self, tree: Kept<Tree<'static>>) -> bool {
        let in_place = tree.in_place();
        self.kept().push(tree);
        in_place
    }

    fn keep_in_pool(&self, tree: Kept<Tree<'static>>) -> bool {
        self.keep(tree)
    }

    fn glance(&self, tree: Kept<Tree<'static>>) -> u64 {
        weight(tree.get())
    }

    fn keep_at_gate(&self, cx: &Context, tree: Kept<Tree<'static>>) -> u64 {
        let weight = weight(tree.get());
        self.kept().push(tree);
        self.pass(cx);
        weight
    }

    fn weigh_kept(&self) -> u64 {
        self.kept().iter().map(|tree| weight(tree.get())).sum()
    }

    fn let_go(&self) -> u64 {
        let kept = std::mem::take(&mut *self.kept());
        kept.len() as u64
    }

    fn divide(&self, a: u64, b: u64) -> Result<u64, Refusal> {
        a.checked_div(b)
            .ok_or(Refusal::DividedByZero { dividend: a })
    }

    fn refuse(&self, n: u32) -> Result<(), Refusal> {
        if n == 0 {
            return Ok(());
        }
        Err(Refusal::TooMuch(n))
    }

    fn repeat<'r>(
        &self,
        text: &Str<'_>,
        times: u64,
        out: &'r Scope,
    ) -> Result<Placed<'r>, Refusal> {
        repeated(text, times, out)
    }

    fn repeat_in_pool<'r>(
        &self,
        text: &Str<'_>,
        times: u64,
        out: &'r Scope,
    ) -> Result<Placed<'r>, Refusal> {
        repeated(text, times, out)
    }

    async fn repeat_in_task<'r>(
        &self,
        text: &Str<'_>,
        times: u64,
        out: &'r mut Scope,
    ) -> Result<Placed<'r>, Refusal> {
        let first = out.str("first").map_err(|_| Refusal::NoRoom)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        let placed = repeated(text, times, out)?;
        tokio::task::yield_now().await;
        assert_eq!(first, "first");
        Ok(placed)
    }

    async fn astray<'r>(&self, out: &'r mut Scope) -> Str<'r> {
        *out = Scope::private(4096);
        out.str("astray").expect("room")
    }

    async fn build_forever<'r>(&self, out: &'r mut Scope) -> Str<'r> {
        let text = out.str("never").expect("room");
        let mut dropped = Dropped(Some(&self.dropped));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
        dropped.0 = None;
        text
    }

    fn wide(&self, seed: u64) -> [u64; 600] {
        std::array::from_fn(|at| seed + at as u64)
    }

    fn too_wide<'r>(&self, out: &'r Scope) -> (Str<'r>, [u64; 8000]) {
        (out.str("much").expect("room"), [7; 8000])
    }

    fn panic_here(&self) {
        std::panic::panic_any(());
    }

    fn panic_in_pool(&self) {
        std::panic::panic_any(());
    }

    async fn panic_in_task(&self) {
        tokio::task::yield_now().await;
        std::panic::panic_any(());
    }

    fn wait_at_gate(&self, cx: &Context) -> u64 {
        u64::from(self.pass(cx))
    }

    fn weigh_at_gate(&self, cx: &Context, tree: &Tree) -> u64 {
        self.pass(cx);
        weight(tree)
    }

    fn open_gate(&self) {
        self.gate().open = true;
        self.opened.notify_all();
    }

    fn close_gate(&self) {
        self.gate().open = false;
    }

    async fn wait_forever(&self) -> u64 {
        let mut dropped = Dropped(Some(&self.dropped));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
        dropped.0 = None;
        0
    }

    fn dawdle(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn seen(&self) -> Seen {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        Seen {
            waiting: of(&self.waiting),
            cancelled: of(&self.cancelled),
            dropped: of(&self.dropped),
            sent: of(&self.sent),
            taken: of(&self.taken),
            ended: of(&self.ended),
            added: of(&self.added),
        }
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn caller(&self, cx: &Context) -> u32 {
        cx.peer().pid
    }

    fn header<'r>(&self, cx: &Context, name: &Str<'_>, out: &'r Scope) -> Option<Str<'r>> {
        let value = cx.metadata(name)?;
        out.str(&value).ok()
    }

    fn headers(&self, cx: &Context) -> u64 {
        cx.all_metadata().len() as u64
    }

    fn echo_header(&self, cx: &Context, length: u64) -> u64 {
        let value = "v".repeat(length as usize);
        let text = length.to_string();
        let added = cx.reply_metadata("length", &text);
        added.expect("it is short");
        cx.reply_metadata("value", &value).expect("it is short");
        length
    }

    fn patience_ms(&self, cx: &Context) -> Option<u64> {
        let left = cx.deadline()?.saturating_duration_since(Instant::now());
        Some(left.as_millis() as u64)
    }

    fn count(&self, n: u64, items: &mut Replies<u64>) {
        for item in 0..n {
            if items.send(item).is_err() {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return;
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn names(&self, n: u64, items: &mut Replies<Named<'static>>) -> Result<(), Refusal> {
        for item in 0..n {
            let Ok(scope) = items.scope() else {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return Err(Refusal::NoRoom);
            };
            let name = scope.str(&format!("name {item}")).expect("room");
            if items.send_in(&scope, Named { name }).is_err() {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return Err(Refusal::TooMuch(0));
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        if n == 13 {
            return Err(Refusal::TooMuch(13));
        }
        Ok(())
    }

    fn pairs(&self, n: u64, items: &mut Replies<Named<'static>>) {
        for pair in 0..n {
            let Ok(scope) = items.scope() else {
                return;
            };
            for item in [2 * pair, 2 * pair + 1] {
                let name = scope.str(&format!("name {item}")).expect("room");
                if items.send_in(&scope, Named { name }).is_err() {
                    return;
                }
            }
        }
    }

    fn blocks(&self, n: u64, items: &mut Replies<[u64; 100]>) {
        for item in 0..n {
            if items.send([item; 100]).is_err() {
                return;
            }
        }
    }

    fn too_wide_blocks(&self, items: &mut Replies<[u64; 8000]>) {
        if items.send([7; 8000]).is_err() {
            self.cancelled.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn sum(&self, items: Requests<u64>) -> u64 {
        let sum = items.map(|item| *item).sum();
        self.ended.fetch_add(1, Ordering::SeqCst);
        sum
    }

    fn weigh_all(&self, items: Requests<Tree<'static>>) -> u64 {
        let sum = items.map(|item| weight(item.get())).sum();
        self.ended.fetch_add(1, Ordering::SeqCst);
        sum
    }

    fn lengths(&self, items: Requests<Named<'static>>, lengths: &mut Replies<u64>) {
        for item in items {
            if lengths.send(item.get().name.len() as u64).is_err() {
                self.cancelled.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    fn sum_of_first(&self, n: u64, items: Requests<Tree<'static>>) -> u64 {
        items
            .take(usize::try_from(n).unwrap_or(usize::MAX))
            .map(|item| weight(item.get()))
            .sum()
    }

    fn sum_after_gate(&self, cx: &Context, items: Requests<u64>) -> u64 {
        self.pass(cx);
        let taken = items.inspect(|_| {
            self.taken.fetch_add(1, Ordering::SeqCst);
        });
        taken.map(|item| *item).sum()
    }

    async fn count_in_task(&self, n: u64, items: &mut AsyncReplies<u64>) {
        let mut dropped = Dropped(Some(&self.dropped));
        for item in 0..n {
            if items.send(item).await.is_err() {
                return;
            }
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        dropped.0 = None;
    }

    async fn names_in_task(
        &self,
        n: u64,
        items: &mut AsyncReplies<Named<'static>>,
    ) -> Result<(), Refusal> {
        let mut dropped = Dropped(Some(&self.dropped));
        for item in 0..n {
            let scope = items.scope().map_err(|_| Refusal::NoRoom)?;
            let name = scope.str(&format!("name {item}")).expect("room");
            let sent = items.send_in(&scope, Named { name }).await;
            sent.map_err(|_| Refusal::TooMuch(0))?;
            self.sent.fetch_add(1, Ordering::SeqCst);
        }
        dropped.0 = None;
        if n == 13 {
            return Err(Refusal::TooMuch(13));
        }
        Ok(())
    }

    async fn sum_in_task(&self, mut items: AsyncRequests<u64>) -> u64 {
        let mut sum = 0;
        while let Some(item) = items.recv().await {
            sum += *item;
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        sum
    }

    async fn weigh_all_in_task(&self, mut items: AsyncRequests<Tree<'static>>) -> u64 {
        let mut dropped = Dropped(Some(&self.dropped));
        let mut sum = 0;
        while let Some(item) = items.recv().await {
            self.taken.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            sum += weight(item.get());
        }
        dropped.0 = None;
        sum
    }

    async fn lengths_in_task(
        &self,
        mut items: AsyncRequests<Named<'static>>,
        lengths: &mut AsyncReplies<u64>,
    ) {
        while let Some(item) = items.recv().await {
            let length = item.get().name.len() as u64;
            if lengths.send(length).await.is_err() {
                return;
            }
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    async fn leave_items(&self, mut items: AsyncRequests<u64>) -> u64 {
        let first = items.recv().await.map_or(0, |item| *item);
        let ended = Arc::clone(&self.ended);
        let taken = Arc::clone(&self.taken);
        tokio::spawn(async move {
            while items.recv().await.is_some() {
                taken.fetch_add(1, Ordering::SeqCst);
            }
            ended.fetch_add(1, Ordering::SeqCst);
        });
        first
    }
}
