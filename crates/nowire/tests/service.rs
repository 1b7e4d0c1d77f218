//! What `#[service]` writes, called for real: each kind of method, parameter and
//! reply.
#![forbid(unsafe_code)]

mod common;

use std::sync::Mutex;
use std::time::Duration;

use common::Runtime;
use nowire::{
    CallError, Channel, ChannelOptions, Context, Kept, Replies, Requests, Running, Scope, Server,
    Shared, Slice, Str,
};

#[derive(Shared)]
struct Order<'s> {
    id: u64,
    note: Str<'s>,
    counts: Slice<'s, u32>,
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
struct Quote {
    cents: u64,
    days: u32,
}

#[derive(Shared)]
struct Found<'s> {
    title: Str<'s>,
}

#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Refusal {
    Unknown { id: u64 },
    Closed,
}

/// Everything a method can be.
#[nowire::service]
trait Shop {
    /// Reads what the caller built.
    fn quote(&self, order: &Order, discount: u64) -> Quote;
    /// Does nothing.
    fn nothing(&self);
    #[nowire(pool)]
    fn pooled(&self, order: &Order) -> u64;
    async fn awaited(&self, cx: &Context, order: &Order<'_>, days: u32) -> u64;
    fn keep(&self, order: Kept<Order<'static>>) -> u64;
    fn kept(&self) -> u64;
    fn find<'r>(&self, id: u64, out: &'r Scope) -> Result<Found<'r>, Refusal>;
    fn close(&self, id: u64) -> Result<(), Refusal>;
    fn many(&self, a: u8, b: [u16; 3], c: (u32, bool), d: Option<char>, e: Quote) -> Option<Quote>;
    fn who(&self, cx: &Context) -> u32;
    #[nowire(pool)]
    fn list(&self, n: u64, items: &mut Replies<Quote>);
    #[nowire(pool)]
    fn titles(&self, order: &Order, items: &mut Replies<Found<'static>>) -> Result<(), Refusal>;
    #[nowire(pool)]
    fn sum(&self, items: Requests<u64>) -> u64;
    #[nowire(pool)]
    fn lengths(&self, items: Requests<Found<'static>>, lengths: &mut Replies<u64>);
}

#[derive(Default)]
struct Counter {
    orders: Mutex<Vec<Kept<Order<'static>>>>,
}

fn total(order: &Order<'_>) -> u64 {
    order.counts.iter().map(|count| u64::from(*count)).sum()
}

impl Shop for Counter {
    fn quote(&self, order: &Order, discount: u64) -> Quote {
        Quote {
            cents: total(order) - discount,
            days: order.note.len() as u32,
        }
    }

    fn nothing(&self) {}

    fn pooled(&self, order: &Order) -> u64 {
        total(order)
    }

    async fn awaited(&self, cx: &Context, order: &Order<'_>, days: u32) -> u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(!cx.is_cancelled());
        total(order) + u64::from(days)
    }

    fn keep(&self, order: Kept<Order<'static>>) -> u64 {
        let mut orders = self.orders.lock().expect("nobody panicked");
        orders.push(order);
        orders.len() as u64
    }

    fn kept(&self) -> u64 {
        let orders = self.orders.lock().expect("nobody panicked");
        orders.iter().map(|order| total(order.get())).sum()
    }

    fn find<'r>(&self, id: u64, out: &'r Scope) -> Result<Found<'r>, Refusal> {
        if id != 7 {
            return Err(Refusal::Unknown { id });
        }
        let title = out.str("Emma").map_err(|_| Refusal::Closed)?;
        Ok(Found { title })
    }

    fn close(&self, id: u64) -> Result<(), Refusal> {
        match id {
            7 => Ok(()),
            _ => Err(Refusal::Closed),
        }
    }

    fn many(&self, a: u8, b: [u16; 3], c: (u32, bool), d: Option<char>, e: Quote) -> Option<Quote> {
        let days = u32::from(a) + u32::from(b[2]) + c.0 + d.map_or(0, u32::from);
        c.1.then_some(Quote { days, ..e })
    }

    fn who(&self, cx: &Context) -> u32 {
        cx.metadata("shelf").map_or(0, |shelf| shelf.len() as u32)
    }

    fn list(&self, n: u64, items: &mut Replies<Quote>) {
        for cents in 0..n {
            if items.send(Quote { cents, days: 0 }).is_err() {
                return;
            }
        }
    }

    fn titles(&self, order: &Order, items: &mut Replies<Found<'static>>) -> Result<(), Refusal> {
        for count in &order.counts {
            let scope = items.scope().map_err(|_| Refusal::Closed)?;
            let title = scope
                .str(&"x".repeat(*count as usize))
                .map_err(|_| Refusal::Closed)?;
            items
                .send_in(&scope, Found { title })
                .map_err(|_| Refusal::Closed)?;
        }
        Err(Refusal::Unknown { id: order.id })
    }

    fn sum(&self, items: Requests<u64>) -> u64 {
        items.map(|item| *item).sum()
    }

    fn lengths(&self, items: Requests<Found<'static>>, lengths: &mut Replies<u64>) {
        for item in items {
            let length = item.get().title.len() as u64;
            if lengths.send(length).is_err() {
                return;
            }
        }
    }
}

/// A server and its one client.
struct Scene {
    shop: ShopClient,
    channel: Channel,
    _server: Running,
    _runtime: Runtime,
}

fn scene() -> Scene {
    let runtime = Runtime::new();
    let server = Server::builder()
        .runtime_dir(runtime.path())
        .add(ShopServer::new(Counter::default()))
        .start("shop")
        .expect("the name is free");
    let mut options = ChannelOptions::default();
    options.connect.runtime_dir = Some(runtime.path().to_owned());
    options.connect.timeout = Duration::from_secs(20);
    let channel = nowire::connect_with("shop", options).expect("the server is there");
    Scene {
        shop: ShopClient::new(channel.clone()),
        channel,
        _server: server,
        _runtime: runtime,
    }
}

fn order<'s>(scope: &'s Scope, counts: &[u32]) -> nowire::Ptr<'s, Order<'s>> {
    let note = scope.str("gift").expect("there is room");
    let counts = scope.slice(counts).expect("there is room");
    let id = 7;
    scope
        .build(Order { id, note, counts })
        .expect("there is room")
}

#[test]
fn a_handler_reads_what_its_caller_built() {
    let Scene { shop, .. } = &scene();
    let scope = shop.scope().expect("there is memory");
    let order = order(&scope, &[1, 2, 3]);
    let quote = shop.quote(&order, 2).expect("it is answered");
    assert_eq!(*quote, Quote { cents: 4, days: 4 });
    shop.nothing().expect("it is answered");
    assert_eq!(*shop.pooled(&order).expect("it is answered"), 6);
    assert_eq!(*shop.awaited(&order, 3).expect("it is answered"), 9);
}

#[test]
fn plain_values_of_every_shape_pass_by_themselves() {
    let Scene { shop, .. } = &scene();
    let quote = Quote { cents: 9, days: 0 };
    let some = shop.many(1, [0, 0, 2], (3, true), Some('\u{4}'), quote);
    let expected = Quote { cents: 9, days: 10 };
    assert_eq!(*some.expect("it is answered"), Some(expected));
    let none = shop.many(1, [0, 0, 2], (3, false), None, quote);
    assert_eq!(*none.expect("it is answered"), None);
}

#[test]
fn calls_are_under_way_together_and_end_in_any_order() {
    let Scene { shop, .. } = &scene();
    let scope = shop.scope().expect("there is memory");
    let order = order(&scope, &[5]);
    let slow = shop.awaited_later(&order, 1).expect("it is sent");
    let pooled = shop.pooled_later(&order).expect("it is sent");
    let quick: Vec<_> = (0..4)
        .map(|discount| shop.quote_later(&order, discount).expect("it is sent"))
        .collect();
    for (pending, cents) in quick.into_iter().zip([5, 4, 3, 2]) {
        assert_eq!(pending.wait().expect("it is answered").cents, cents);
    }
    assert_eq!(*pooled.wait().expect("it is answered"), 5);
    assert_eq!(*slow.wait().expect("it is answered"), 6);
}

#[test]
fn what_is_kept_stays_after_its_call() {
    let Scene { shop, .. } = &scene();
    for (round, kept) in [(1, 1), (2, 3)] {
        let scope = shop.scope().expect("there is memory");
        let order = order(&scope, &[round]);
        let count = if round == 1 {
            shop.keep(order)
        } else {
            shop.keep_later(order).and_then(nowire::Pending::wait)
        };
        assert_eq!(*count.expect("it is answered"), u64::from(round));
        drop(scope);
        assert_eq!(*shop.kept().expect("it is answered"), kept);
    }
}

#[test]
fn a_reply_is_built_by_the_server_or_is_its_refusal() {
    let Scene { shop, .. } = &scene();
    let found = shop.find(7).expect("it is there");
    assert_eq!(&*found.get().title, "Emma");
    match shop.find(8) {
        Err(CallError::Returned(refusal)) => assert_eq!(refusal, Refusal::Unknown { id: 8 }),
        other => panic!("{:?}", other.map(drop)),
    }
    shop.close(7).expect("it can be closed");
    let refused = shop.close(8);
    assert!(
        matches!(refused, Err(CallError::Returned(Refusal::Closed))),
        "{refused:?}"
    );
}

#[test]
fn metadata_reaches_the_handler() {
    let Scene { shop, .. } = &scene();
    assert_eq!(*shop.who().expect("it is answered"), 0);
    let shop = shop.clone().metadata("shelf", "upper");
    let shop = shop.timeout(Duration::from_secs(20));
    assert_eq!(*shop.who().expect("it is answered"), 5);
}

#[test]
fn replies_come_as_a_stream() {
    let Scene { shop, .. } = &scene();
    let mut list = shop.list(1000).expect("it is sent");
    let mut cents = Vec::new();
    while let Some(item) = list.next_reply().expect("it is answered") {
        cents.push(item.cents);
    }
    assert!(cents.into_iter().eq(0..1000));
    list.finish().expect("it ended well");

    let scope = shop.scope().expect("there is memory");
    let order = order(&scope, &[3, 0, 5]);
    let mut titles = shop.titles(&order).expect("it is sent");
    for length in [3, 0, 5] {
        let item = titles.next_reply().expect("it is answered");
        let item = item.expect("there are three");
        assert_eq!(item.get().title.len(), length);
    }
    assert!(titles.next_reply().expect("it is answered").is_none());
    let refused = titles.finish().map(drop);
    assert!(
        matches!(
            refused,
            Err(CallError::Returned(Refusal::Unknown { id: 7 }))
        ),
        "{refused:?}"
    );
}

#[test]
fn requests_go_as_a_stream() {
    let Scene { shop, .. } = &scene();
    let mut sum = shop.sum().expect("it is sent");
    for number in 0..1000_u64 {
        assert!(sum.send(number).expect("it is sent"));
    }
    assert_eq!(*sum.finish().expect("it is answered"), 499_500);

    let mut lengths = shop.lengths().expect("it is sent");
    for text in ["a", "", "abc"] {
        let scope = shop.scope().expect("there is memory");
        let title = scope.str(text).expect("there is room");
        assert!(lengths.send(Found { title }).expect("it is sent"));
        let length = lengths.next_reply().expect("it is answered");
        assert_eq!(length.map(|length| *length), Some(text.len() as u64));
    }
    lengths.finish().expect("it ended well");
}

#[test]
fn the_same_trait_is_awaited() {
    let Scene { channel, .. } = &scene();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let channel = channel.clone();
    let answers = runtime.spawn(async move {
        let shop = ShopAsyncClient::new(channel);
        let scope = shop.scope().expect("there is memory");
        let call = {
            let order = order(&scope, &[1, 2]);
            let quote = shop.quote(&order, 0).await.expect("it is answered").cents;
            let awaited = *shop.awaited(&order, 1).await.expect("it is answered");
            (quote, awaited)
        };
        shop.nothing().await.expect("it is answered");
        let refused = shop.close(8).await;
        assert!(matches!(refused, Err(CallError::Returned(Refusal::Closed))));
        call
    });
    assert_eq!(
        runtime.block_on(answers).expect("it does not panic"),
        (3, 4)
    );
}
