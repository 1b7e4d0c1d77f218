//! The code of the guide (docs/native.md) and of the README, compiled and run.

use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use nowire::{
    AsyncReplies, AsyncRequests, CallError, Channel, ChannelOptions, Context, Keeping, Kept, Lent,
    Map, Ptr, Replies, Requests, Scope, ScopeError, SealFrom, Shared, Slice, Str,
};

#[derive(Shared)]
struct Order<'s> {
    id: u64,
    note: Str<'s>,
    lines: Slice<'s, Line>,
    parent: Option<Ptr<'s, Order<'s>>>,
}

#[derive(Shared, Clone, Copy)]
struct Line {
    sku: u32,
    count: u32,
}

#[derive(Shared)]
#[repr(u8)]
enum Json<'s> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Str<'s>),
    List(Slice<'s, Json<'s>>),
    Object(Map<'s, Str<'s>, Json<'s>>),
}

#[derive(Shared, Clone, Copy, Debug)]
#[repr(u8)]
enum Refusal {
    Unknown { id: u64 },
    NoRoom,
}

impl From<ScopeError> for Refusal {
    fn from(_: ScopeError) -> Self {
        Self::NoRoom
    }
}

#[nowire::service]
trait Pricing {
    fn quote(&self, order: &Order) -> u64;
    fn find<'r>(&self, id: u64, out: &'r Scope) -> Result<Order<'r>, Refusal>;
    fn keep(&self, order: Kept<Order<'static>>) -> u64;
    fn recall<'r>(&self, id: u64, out: &'r Scope) -> Result<Lent<'r, Order<'r>>, Refusal>;
    fn who(&self, cx: &Context) -> u32;
    #[nowire(pool)]
    fn audit(&self, cx: &Context, years: u32) -> u64;
    async fn ship(&self, order: &Order<'_>) -> u32;
    async fn fetch<'r>(&self, id: u64, out: &'r mut Scope) -> Result<Order<'r>, Refusal>;
    #[nowire(pool)]
    fn list(&self, from: u64, orders: &mut Replies<Order<'static>>);
    #[nowire(pool)]
    fn total(&self, lines: Requests<Line>) -> u64;
    async fn price_all(&self, orders: AsyncRequests<Order<'static>>, cents: &mut AsyncReplies<u64>);
}

#[derive(Default)]
struct Shop {
    kept: Mutex<Vec<Kept<Order<'static>>>>,
}

impl Pricing for Shop {
    fn quote(&self, order: &Order) -> u64 {
        order.lines.iter().map(price).sum()
    }

    fn find<'r>(&self, id: u64, out: &'r Scope) -> Result<Order<'r>, Refusal> {
        if id == 0 {
            return Err(Refusal::Unknown { id });
        }
        Ok(order_of(out, id)?)
    }

    fn keep(&self, order: Kept<Order<'static>>) -> u64 {
        let mut kept = self.kept.lock().unwrap();
        kept.push(order);
        kept.iter().map(|order| order.get().id).sum()
    }

    fn recall<'r>(&self, id: u64, out: &'r Scope) -> Result<Lent<'r, Order<'r>>, Refusal> {
        let kept = self.kept.lock().unwrap();
        let order = kept.iter().find(|order| order.get().id == id);
        let order = order.ok_or(Refusal::Unknown { id })?;
        Ok(order.lend(out, order.get())?)
    }

    fn who(&self, cx: &Context) -> u32 {
        let trace = cx.metadata("traceparent");
        trace.map_or(0, |trace| trace.len() as u32)
    }

    fn audit(&self, cx: &Context, years: u32) -> u64 {
        (0..years)
            .take_while(|_| !cx.is_cancelled())
            .map(audit_year)
            .sum()
    }

    async fn ship(&self, order: &Order<'_>) -> u32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        order.lines.len() as u32
    }

    async fn fetch<'r>(&self, id: u64, out: &'r mut Scope) -> Result<Order<'r>, Refusal> {
        let order = order_of(out, id)?;
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(order)
    }

    fn list(&self, from: u64, orders: &mut Replies<Order<'static>>) {
        for id in from.. {
            let Ok(scope) = orders.scope() else { return };
            let Ok(order) = order_of(&scope, id) else {
                return;
            };
            if orders.send_in(&scope, order).is_err() {
                return; // nobody waits for more
            }
        }
    }

    fn total(&self, lines: Requests<Line>) -> u64 {
        lines.map(|line| price(&line)).sum()
    }

    async fn price_all(
        &self,
        mut orders: AsyncRequests<Order<'static>>,
        cents: &mut AsyncReplies<u64>,
    ) {
        while let Some(order) = orders.recv().await {
            let sum = order.get().lines.iter().map(price).sum();
            if cents.send(sum).await.is_err() {
                return;
            }
        }
    }
}

fn price(line: &Line) -> u64 {
    u64::from(line.sku) * 100 * u64::from(line.count)
}

fn audit_year(year: u32) -> u64 {
    year.into()
}

fn order_of<'s>(scope: &'s Scope, id: u64) -> Result<Order<'s>, ScopeError> {
    Ok(Order {
        id,
        note: scope.str("a gift")?,
        lines: scope.slice(&[Line { sku: 2, count: 1 }, Line { sku: 5, count: 3 }])?,
        parent: None,
    })
}

fn documents(scope: &Scope) -> Result<(), ScopeError> {
    let tags = scope.slice_of([
        Json::Text(scope.str("new")?),
        Json::Number(0.5),
        Json::Bool(true),
        Json::Null,
    ])?;
    let document = Json::Object(scope.map([(scope.str("tags")?, Json::List(tags))])?);
    let document: Ptr<'_, Json<'_>> = scope.build(document)?;

    let Json::Object(fields) = &*document else {
        unreachable!("it was just built");
    };
    let Some(Json::List(tags)) = fields.get("tags") else {
        unreachable!("it was just built");
    };
    let shown = tags.iter().map(|tag| match tag {
        Json::Text(text) => text.to_string(),
        Json::Number(number) => number.to_string(),
        Json::Bool(truth) => truth.to_string(),
        Json::Null | Json::List(_) | Json::Object(_) => "-".to_owned(),
    });
    assert_eq!(shown.collect::<Vec<_>>(), ["new", "0.5", "true", "-"]);
    Ok(())
}

fn serve() -> anyhow::Result<nowire::Running> {
    let server = nowire::Server::builder()
        .add(PricingServer::new(Shop::default()))
        .start("pricing")?;
    Ok(server)
}

fn serve_a_team() -> anyhow::Result<nowire::Running> {
    let server = nowire::Server::builder()
        .add(PricingServer::new(Shop::default()))
        .keeping(Keeping::Trust)
        .start("pricing-of-the-team")?;
    Ok(server)
}

fn serve_with_settings() -> anyhow::Result<nowire::Running> {
    let server = nowire::Server::builder()
        .add(PricingServer::new(Shop::default()))
        .seal(SealFrom::Bytes(1 << 20))
        .pollers(2)
        .workers(16)
        .reply_scope_bytes(256 << 10)
        .options(|options| options.max_connections = 100)
        .start("pricing-with-settings")?;
    Ok(server)
}

fn call() -> anyhow::Result<()> {
    let pricing = PricingClient::new(nowire::connect("pricing")?);
    let scope = pricing.scope()?;
    let order = scope.build(Order {
        id: 7,
        note: scope.str("a gift")?,
        lines: scope.slice(&[Line { sku: 2, count: 1 }, Line { sku: 5, count: 3 }])?,
        parent: None,
    })?;
    let cents = *pricing.quote(&order)?;
    assert_eq!(cents, 1700);

    let found = pricing.find(7)?;
    println!("{}: {} lines", found.get().note, found.get().lines.len());

    match pricing.find(0) {
        Ok(order) => println!("{}", order.get().note),
        Err(CallError::Returned(Refusal::Unknown { id })) => println!("there is no order {id}"),
        Err(other) => return Err(other.into()),
    }

    let first = pricing.quote_later(&order)?;
    let second = pricing.find_later(8)?;
    let cents = *first.wait()? + second.wait()?.get().id;
    assert_eq!(cents, 1708);

    let known = *pricing.keep(order)?; // `order` is gone
    assert_eq!(known, 7);

    let recalled = pricing.recall(7)?;
    println!("{}", recalled.get().note);

    let mut scope = pricing.scope()?;
    for id in 1..=3 {
        let order = scope.build(order_of(&scope, id)?)?;
        println!("order {id}: {} cents", *pricing.quote(&order)?);
        scope.reset()?; // nothing built in it is alive
    }
    documents(&scope)?;
    Ok(())
}

fn stream() -> anyhow::Result<()> {
    let pricing = PricingClient::new(nowire::connect("pricing")?);
    let mut list = pricing.list(1)?;
    while let Some(order) = list.next_reply()? {
        if order.get().id == 1000 {
            break;
        }
    }
    drop(list); // the handler's next item tells it to stop

    let mut total = pricing.total()?;
    for count in 1..=100 {
        if !total.send(Line { sku: 1, count })? {
            break; // the server has replied already
        }
    }
    assert_eq!(*total.finish()?, 505_000);
    Ok(())
}

fn circumstances() -> anyhow::Result<()> {
    let pricing = PricingClient::new(nowire::connect("pricing")?);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let pricing = pricing
        .timeout(Duration::from_secs(5))
        .metadata("traceparent", trace);
    assert_eq!(*pricing.who()?, 55);
    assert_eq!(*pricing.audit(4)?, 6);
    Ok(())
}

async fn wait() -> anyhow::Result<()> {
    let channel = Channel::connect("pricing", ChannelOptions::default()).await?;
    let pricing = PricingAsyncClient::new(channel);
    let scope = pricing.scope()?;
    let order = scope.build(order_of(&scope, 7)?)?;
    let (cents, lines) = tokio::try_join!(pricing.quote(&order), pricing.ship(&order))?;
    assert_eq!((*cents, *lines), (1700, 2));
    assert_eq!(pricing.fetch(8).await?.get().id, 8);

    let mut prices = pricing.price_all().await?;
    for id in 1..=3 {
        let scope = pricing.scope()?;
        prices.send(order_of(&scope, id)?).await?;
        assert_eq!(prices.next_reply().await?.as_deref(), Some(&1700));
    }
    prices.finish().await?;
    Ok(())
}

mod readme {
    use nowire::{Shared, Slice, Str};

    #[derive(Shared)]
    struct Order<'s> {
        id: u64,
        note: Str<'s>,
        skus: Slice<'s, u32>,
    }

    #[nowire::service]
    trait Pricing {
        fn quote(&self, order: &Order) -> u64;
    }

    struct Shop;

    impl Pricing for Shop {
        fn quote(&self, order: &Order) -> u64 {
            let cents: u64 = order.skus.iter().map(|sku| u64::from(*sku) * 100).sum();
            cents + order.id + order.note.len() as u64
        }
    }

    pub(super) fn serve() -> anyhow::Result<()> {
        nowire::Server::builder()
            .add(PricingServer::new(Shop))
            .serve("pricing")?;
        Ok(())
    }

    pub(super) fn call() -> anyhow::Result<()> {
        let pricing = PricingClient::new(nowire::connect("pricing")?);
        let scope = pricing.scope()?; // memory that the server can read
        let order = scope.build(Order {
            id: 7,
            note: scope.str("a gift")?,
            skus: scope.slice(&[2, 5, 5])?,
        })?;
        let cents = *pricing.quote(&order)?;
        assert_eq!(cents, 1213);
        Ok(())
    }
}

fn guide() -> anyhow::Result<()> {
    let servers = [serve()?, serve_a_team()?, serve_with_settings()?];
    call()?;
    stream()?;
    circumstances()?;
    tokio::runtime::Runtime::new()?.block_on(wait())?;
    drop(servers);
    std::thread::spawn(readme::serve);
    while nowire::connect("pricing").is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    readme::call()
}

#[test]
fn what_the_guide_says_runs() {
    const CHILD: &str = "NOWIRE_GUIDE";
    if std::env::var_os(CHILD).is_some() {
        guide().unwrap();
        return;
    }
    let runtime_dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "what_the_guide_says_runs"])
        .env("NOWIRE_RUNTIME_DIR", runtime_dir.path())
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn the_code_of_the_guide_is_the_code_that_runs() {
    let code = lines(include_str!("guide.rs"));
    let pages = [
        include_str!("../../../docs/native.md"),
        include_str!("../../../README.md"),
    ];
    let mut seen = 0;
    for snippet in pages.iter().flat_map(|page| snippets(page)) {
        let snippet = lines(snippet);
        let found = code.windows(snippet.len()).any(|part| part == snippet);
        assert!(found, "not in this file:\n{}", snippet.join("\n"));
        seen += 1;
    }
    assert!(seen > 5, "{seen} pieces of code");
}

/// Code in Rust that speaks of native calls.
fn snippets(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```rust\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks.filter(|block| !block.contains("nowire_grpc"))
}

fn lines(code: &str) -> Vec<&str> {
    let lines = code.lines().map(str::trim);
    lines.filter(|line| !line.is_empty()).collect()
}
