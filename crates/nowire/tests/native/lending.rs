//! Replies that lend what the server keeps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nowire::{
    CallError, Code, Context, Kept, Lent, Ptr, Replies, Scope, ScopeError, Shared, Slice, Str,
};

use crate::house::{House, connect};
use crate::lab::{LabClient, Tree, leaf, tree, weight};
use crate::vitals::{PATIENCE, wait_until};

/// A tree of the shelf, and its number.
#[derive(Debug, Shared)]
pub(crate) struct Shown<'s> {
    number: u64,
    tree: Lent<'s, Tree<'s>>,
}

#[derive(Debug, Shared)]
pub(crate) struct Labelled<'s> {
    label: Str<'s>,
    tree: Lent<'s, Tree<'s>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
#[repr(u8)]
pub(crate) enum NotShown {
    NotThere,
    NoRoom,
    LentAlready,
}

impl From<ScopeError> for NotShown {
    fn from(error: ScopeError) -> Self {
        match error {
            ScopeError::Lends => Self::LentAlready,
            _ => Self::NoRoom,
        }
    }
}

#[nowire::service]
pub(crate) trait Shelf {
    /// Puts a tree on the shelf; true if it stays where it was built.
    fn put(&self, tree: Kept<Tree<'static>>) -> bool;
    /// Puts it there, and returns once there are no trees any more.
    #[nowire(pool)]
    fn put_and_wait(&self, cx: &Context, tree: Kept<Tree<'static>>);
    fn show<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown>;
    #[nowire(pool)]
    fn show_in_pool<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown>;
    async fn show_in_task<'r>(
        &self,
        number: u64,
        out: &'r mut Scope,
    ) -> Result<Shown<'r>, NotShown>;
    fn show_child<'r>(
        &self,
        number: u64,
        child: u64,
        out: &'r Scope,
    ) -> Result<Lent<'r, Tree<'r>>, NotShown>;
    /// Whatever there is at that number.
    fn peep<'r>(&self, number: u64, out: &'r Scope) -> Result<Option<Shown<'r>>, NotShown>;
    /// Shows a tree and has forgotten it when it replies.
    fn glance<'r>(&self, tree: Kept<Tree<'static>>, out: &'r Scope) -> Result<Shown<'r>, NotShown>;
    /// Shows a tree for the last time.
    fn hand_out<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown>;
    #[nowire(pool)]
    fn show_all(&self, items: &mut Replies<Shown<'static>>) -> Result<(), NotShown>;
    fn show_two<'r>(&self, out: &'r Scope) -> Result<[Lent<'r, Tree<'r>>; 2], NotShown>;
    fn show_labelled<'r>(&self, number: u64, out: &'r Scope) -> Result<Labelled<'r>, NotShown>;
    /// Shows a tree that was never kept.
    fn show_own<'r>(&self, out: &'r Scope) -> Result<Lent<'r, Tree<'r>>, NotShown>;
    fn clear(&self) -> u64;
}

#[derive(Default)]
pub(crate) struct Stand {
    trees: Mutex<Vec<Kept<Tree<'static>>>>,
}

impl Stand {
    fn trees(&self) -> MutexGuard<'_, Vec<Kept<Tree<'static>>>> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown<'r>(
    kept: &Kept<Tree<'static>>,
    number: u64,
    out: &'r Scope,
) -> Result<Shown<'r>, NotShown> {
    let tree = kept.lend(out, kept.get())?;
    assert_eq!(weight(&tree), weight(kept.get()));
    Ok(Shown { number, tree })
}

impl Shelf for Stand {
    fn put(&self, tree: Kept<Tree<'static>>) -> bool {
        let in_place = tree.in_place();
        self.trees().push(tree);
        in_place
    }

    fn put_and_wait(&self, cx: &Context, tree: Kept<Tree<'static>>) {
        self.trees().push(tree);
        let patience = Instant::now() + PATIENCE;
        while !self.trees().is_empty() && !cx.is_cancelled() && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn show<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown> {
        self.peep(number, out)?.ok_or(NotShown::NotThere)
    }

    fn show_in_pool<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown> {
        self.show(number, out)
    }

    async fn show_in_task<'r>(
        &self,
        number: u64,
        out: &'r mut Scope,
    ) -> Result<Shown<'r>, NotShown> {
        tokio::task::yield_now().await;
        let shown = self.show(number, out)?;
        tokio::task::yield_now().await;
        Ok(shown)
    }

    fn show_child<'r>(
        &self,
        number: u64,
        child: u64,
        out: &'r Scope,
    ) -> Result<Lent<'r, Tree<'r>>, NotShown> {
        let trees = self.trees();
        let kept = trees.get(number as usize).ok_or(NotShown::NotThere)?;
        let child = kept.get().children.get(child as usize);
        Ok(kept.lend(out, child.ok_or(NotShown::NotThere)?)?)
    }

    fn peep<'r>(&self, number: u64, out: &'r Scope) -> Result<Option<Shown<'r>>, NotShown> {
        let trees = self.trees();
        let kept = trees.get(number as usize);
        kept.map(|kept| shown(kept, number, out)).transpose()
    }

    fn glance<'r>(&self, tree: Kept<Tree<'static>>, out: &'r Scope) -> Result<Shown<'r>, NotShown> {
        shown(&tree, 0, out)
    }

    fn hand_out<'r>(&self, number: u64, out: &'r Scope) -> Result<Shown<'r>, NotShown> {
        let kept = self.trees().remove(number as usize);
        shown(&kept, number, out)
    }

    fn show_all(&self, items: &mut Replies<Shown<'static>>) -> Result<(), NotShown> {
        let count = self.trees().len();
        for number in 0..count {
            let scope = items.scope().map_err(|_| NotShown::NoRoom)?;
            let shown = shown(&self.trees()[number], number as u64, &scope)?;
            if items.send_in(&scope, shown).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn show_two<'r>(&self, out: &'r Scope) -> Result<[Lent<'r, Tree<'r>>; 2], NotShown> {
        let trees = self.trees();
        let first = trees[0].lend(out, trees[0].get())?;
        let second = trees[1].lend(out, trees[1].get())?;
        Ok([first, second])
    }

    fn show_labelled<'r>(&self, number: u64, out: &'r Scope) -> Result<Labelled<'r>, NotShown> {
        let label = out.str("a label")?;
        let tree = self.show(number, out)?.tree;
        Ok(Labelled { label, tree })
    }

    fn show_own<'r>(&self, out: &'r Scope) -> Result<Lent<'r, Tree<'r>>, NotShown> {
        let own = Scope::private(4096);
        let built = tree(&own, 2, 2)?;
        let trees = self.trees();
        Ok(trees[0].lend(out, &built)?)
    }

    fn clear(&self) -> u64 {
        let trees = std::mem::take(&mut *self.trees());
        trees.len() as u64
    }
}

/// Servers that read what this client builds in place, and one that copies it.
const SERVERS: [(&str, bool); 3] = [
    ("keeping=trust", true),
    ("keeping=seal seal_from=4096", true),
    ("keeping=copy", false),
];

fn client(house: &House) -> ShelfClient {
    ShelfClient::new(house.channel())
}

/// Has a tree of 13 nodes put on the shelf; returns where it was built.
fn put(client: &ShelfClient, in_place: bool) -> usize {
    let scope = client.scope_of(16 << 10).expect("room");
    let built = tree(&scope, 2, 3).expect("room");
    let built = scope.build(built).expect("room");
    let address = Ptr::address(&built);
    assert_eq!(*client.put(built).expect("served"), in_place);
    address
}

fn address(tree: &Tree<'_>) -> usize {
    std::ptr::from_ref(tree).addr()
}

#[test]
fn who_built_what_is_lent_reads_it_where_he_built_it() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let client = client(&house);
        for number in 0..3 {
            let built_at = put(&client, in_place);
            for shown in [
                client.show(number).expect("lent"),
                client.show_in_pool(number).expect("lent"),
                client.show_in_task(number).expect("lent"),
            ] {
                let shown = shown.get();
                assert_eq!(shown.number, number);
                assert_eq!(address(&shown.tree) == built_at, in_place, "{setup}");
                assert_eq!(weight(&shown.tree), 13);
            }
        }
    }
}

#[test]
fn a_part_is_lent_by_itself() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let client = client(&house);
        let scope = client.scope().expect("room");
        let built = scope.build(tree(&scope, 2, 3).expect("room"));
        let built = built.expect("room");
        let child = address(&built.children[1]);
        assert_eq!(*client.put(built).expect("served"), in_place);
        let lent = client.show_child(0, 1).expect("lent");
        assert_eq!(address(lent.get()) == child, in_place, "{setup}");
        assert_eq!(weight(lent.get()), 4);
    }
}

#[test]
fn whoever_else_asks_is_given_an_equal_value() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let builder = client(&house);
        let built_at = put(&builder, in_place);
        // Of another connection, and one that trusts the server.
        for channel in [house.channel(), connect(house.trusting())] {
            let other = ShelfClient::new(channel);
            let theirs = other.show(0).expect("lent");
            let ours = builder.show(0).expect("lent");
            assert_eq!(*theirs.get().tree, *ours.get().tree);
            assert_ne!(address(&theirs.get().tree), built_at, "{setup}");
        }
    }
}

#[test]
fn what_is_lent_is_neither_set_nor_reset_while_its_reply_is_out() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = client(&house);
    let mut scope = client.scope().expect("room");
    let mut rest = leaf(&scope, 1);
    client.put(leaf(&scope, 7)).expect("served");
    let shown = client.show(0).expect("lent");
    assert_eq!(*client.clear().expect("served"), 1);
    wait_until("the server gives the scope back", || {
        client.channel().held_scopes() == 0
    });
    let heavier = || Tree {
        name: Str::empty(),
        weight: 2,
        children: Slice::empty(),
    };
    assert_eq!(scope.set(&mut rest, heavier()), Err(ScopeError::Held));
    assert_eq!(scope.reset(), Err(ScopeError::Held));
    assert_eq!(weight(&shown.get().tree), 7);
    drop(shown);
    scope.reset().expect("nobody reads it");
}

#[test]
fn memory_of_what_was_lent_comes_back() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let client = client(&house);
        let round = || {
            put(&client, in_place);
            let shown = client.hand_out(0).expect("lent");
            assert_eq!(weight(&shown.get().tree), 13);
        };
        (0..100).for_each(|_| round());
        client.channel().shrink();
        let heap_bytes = client.channel().heap_bytes();
        (0..1000).for_each(|_| round());
        wait_until("the scopes come back", || {
            client.channel().held_scopes() == 0
        });
        client.channel().shrink();
        assert!(client.channel().heap_bytes() <= heap_bytes, "{setup}");
    }
}

#[test]
fn what_is_lent_is_readable_when_the_server_was_killed() {
    let house = House::new();
    let mut server = house.server("keeping=trust");
    let client = client(&house);
    let built_at = put(&client, true);
    let shown = client.show(0).expect("lent");
    server.kill();
    wait_until("the server is gone", || client.channel().over().is_some());
    drop(client);
    assert_eq!(address(&shown.get().tree), built_at);
    assert_eq!(weight(&shown.get().tree), 13);
    assert_eq!(shown.get().tree.children[2].children[2].name, *"depth 0");
}

#[test]
fn what_the_server_forgets_with_its_reply_stays_lent() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let client = client(&house);
        for round in 0..200 {
            let mut scope = client.scope_of(8 << 10).expect("room");
            let built = leaf(&scope, round);
            let built_at = Ptr::address(&built);
            // What frees it on the server comes right behind the reply.
            let glanced = client.glance(built).expect("lent");
            client.clear().expect("served");
            assert_eq!(client.channel().held_scopes(), 0);
            assert_eq!(address(&glanced.get().tree) == built_at, in_place);
            assert_eq!(weight(&glanced.get().tree), round);
            assert_eq!(scope.reset().is_ok(), !in_place, "{setup}");
        }
    }
}

#[test]
fn what_a_call_keeps_is_lent_before_that_call_is_answered() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = client(&house);
    let scope = client.scope().expect("room");
    let built = leaf(&scope, 5);
    let built_at = Ptr::address(&built);
    let putting = client.put_and_wait_later(built).expect("sent");
    let mut found = None;
    wait_until("it is there", || {
        found = Some(client.peep(0).expect("served"));
        found.as_ref().is_some_and(|found| found.get().is_some())
    });
    let found = found.expect("it is there");
    let shown = found.get().as_ref().expect("it is there");
    assert_eq!(address(&shown.tree), built_at);
    client.clear().expect("served");
    putting.wait().expect("served");
    assert_eq!(weight(&shown.tree), 5);
}

#[test]
fn another_thread_builds_on_behind_what_is_lent() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = client(&house);
    let scope = client.scope_of(1 << 20).expect("room");
    let first = leaf(&scope, 7);
    let built_at = Ptr::address(&first);
    let full = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let client = &client;
        let full = &full;
        let reader = threads.spawn(move || {
            client.put(first).expect("served");
            let mut times = 0;
            while times < 100 || !full.load(Ordering::Relaxed) {
                let shown = client.show(0).expect("lent");
                assert_eq!(address(&shown.get().tree), built_at);
                assert_eq!(weight(&shown.get().tree), 7);
                times += 1;
            }
        });
        while let Ok(children) = tree(&scope, 1, 2) {
            let text = scope.fill(300, |bytes| bytes.fill(b'x'));
            if text.is_err() || scope.build(children).is_err() {
                break;
            }
        }
        full.store(true, Ordering::Relaxed);
        reader.join().expect("it read what it was lent");
    });
}

#[test]
fn what_lies_behind_something_that_is_being_filled_is_refused_and_harms_nothing() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = client(&house);
    let scope = client.scope().expect("room");
    let filled = scope.fill(64, |_| {
        let within = leaf(&scope, 3);
        client.put(within).expect("served");
        let refused = client.show(0).expect_err("it is not looked at");
        assert!(matches!(refused, CallError::Failed { .. }), "{refused}");
        assert!(refused.to_string().contains("built in"), "{refused}");
    });
    filled.expect("room");
    let shown = client.show(0).expect("lent");
    assert_eq!(weight(&shown.get().tree), 3);
}

#[test]
fn items_of_a_stream_are_lent() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let builder = client(&house);
        let addresses: Vec<usize> = (0..200).map(|_| put(&builder, in_place)).collect();
        for client in [&builder, &client(&house)] {
            let in_place = in_place && std::ptr::eq(client, &builder);
            let mut all = client.show_all().expect("sent");
            let mut items = Vec::new();
            while let Some(item) = all.next_reply().expect("lent") {
                items.push(item);
            }
            all.finish().expect("all were sent");
            assert_eq!(items.len(), addresses.len());
            for (item, address) in items.iter().zip(&addresses) {
                let tree = &item.get().tree;
                assert_eq!(self::address(tree) == *address, in_place, "{setup}");
                assert_eq!(weight(tree), 13);
            }
        }
        // Nobody takes these.
        drop(builder.show_all().expect("sent"));
        drop(builder.show_later(0).expect("sent"));
        assert_eq!(*builder.clear().expect("served"), 200);
        wait_until("the scopes come back", || {
            builder.channel().held_scopes() == 0
        });
    }
}

#[test]
fn a_reply_lends_one_value_and_points_to_nothing_else_wherever_it_lies() {
    let house = House::new();
    for (setup, in_place) in SERVERS {
        let _server = house.server(setup);
        let builder = client(&house);
        put(&builder, in_place);
        put(&builder, in_place);
        for client in [&builder, &client(&house)] {
            let twice = client.show_two().expect_err("it lends two");
            assert!(
                matches!(twice, CallError::Returned(NotShown::LentAlready)),
                "{setup}: {twice}"
            );
            let mixed = client
                .show_labelled(0)
                .expect_err("it points elsewhere too");
            let CallError::Failed { code, text, .. } = mixed else {
                panic!("{setup}: {mixed}")
            };
            assert_eq!(code, Code::Internal);
            assert!(text.contains("lends"), "{setup}: {text}");
        }
    }
}

#[test]
fn what_was_never_kept_is_copied() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = client(&house);
    put(&client, true);
    let own = client.show_own().expect("copied");
    assert_eq!(weight(own.get()), 7);
    assert!(matches!(
        client.show(9),
        Err(CallError::Returned(NotShown::NotThere))
    ));
    assert!(client.peep(9).expect("served").get().is_none());
}

#[test]
fn a_copy_that_does_not_fit_is_the_handlers_error_and_what_lies_in_place_fits_always() {
    let house = House::new();
    let _server = house.server("keeping=trust reply_scope=4096");
    let builder = client(&house);
    let scope = builder.scope_of(1 << 20).expect("room");
    let large = tree(&scope, 4, 6).expect("room");
    let large = scope.build(large).expect("room");
    builder.put(large).expect("served");
    let shown = builder.show(0).expect("lent");
    assert_eq!(weight(&shown.get().tree), 1 + 6 + 36 + 216 + 1296);
    let other = client(&house);
    assert!(matches!(
        other.show(0),
        Err(CallError::Returned(NotShown::NoRoom))
    ));
}

#[tokio::test]
async fn a_task_is_lent_what_it_has_built() {
    let house = House::new();
    let _server = house.server("keeping=trust");
    let client = house.async_client().await;
    let client = ShelfAsyncClient::new(client.channel().clone());
    let built_at = {
        let scope = client.scope().expect("room");
        let built = leaf(&scope, 7);
        let built_at = Ptr::address(&built);
        assert!(*client.put(built).await.expect("served"));
        built_at
    };
    let calls = (0..50).map(|_| client.show(0));
    for call in calls {
        let shown = call.await.expect("lent");
        assert_eq!(address(&shown.get().tree), built_at);
    }
}

#[test]
fn a_server_and_a_client_in_one_process_lend_copies() {
    let house = House::new();
    let server = nowire::Server::builder()
        .runtime_dir(house.runtime().path())
        .keeping(nowire::Keeping::Trust)
        .add(ShelfServer::new(Stand::default()))
        .start(crate::house::NAME);
    let _server = server.expect("a free name");
    let client = client(&house);
    let built_at = put(&client, false);
    let shown = client.show(0).expect("copied");
    assert_ne!(address(&shown.get().tree), built_at);
    assert_eq!(weight(&shown.get().tree), 13);
    // The channel has other services no more than any other.
    assert!(LabClient::new(client.channel().clone()).nothing().is_err());
}
