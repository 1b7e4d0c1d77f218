//! A shop: says what things cost, and keeps the orders it was given.
#![forbid(unsafe_code)]

use std::iter::successors;
use std::sync::{Mutex, PoisonError};

use nowire::{Kept, Replies, Scope};
use pricing::{Article, Order, Pricing, PricingServer, Quote, Refusal};

const LIST: [(&str, u64, &[&str]); 3] = [
    ("cup", 450, &["white", "blue"]),
    ("plate", 700, &["white"]),
    ("teapot", 2900, &["brown", "blue", "green"]),
];

#[derive(Default)]
struct Shop {
    orders: Mutex<Vec<Kept<Order<'static>>>>,
}

impl Pricing for Shop {
    // The order lies where the client built it, or in a copy of that; either
    // way it has been checked, and is read as any other structure.
    fn quote(&self, order: &Order) -> Result<Quote, Refusal> {
        let mut cents = 0;
        for order in with_parents(order) {
            for (number, line) in (0..).zip(&order.lines) {
                let article = LIST.iter().find(|(name, ..)| *name == &*line.article);
                let (_, price, _) = article.ok_or(Refusal::Unknown { line: number })?;
                cents += price * u64::from(line.count);
            }
        }
        let days = if order.note.is_empty() { 2 } else { 3 };
        Ok(Quote { cents, days })
    }

    // What is kept outlives the call, and the client.
    fn place(&self, order: Kept<Order<'static>>) -> u64 {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        orders.push(order);
        orders.len() as u64
    }

    fn pieces(&self) -> u64 {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = orders.iter().flat_map(|order| with_parents(order.get()));
        let lines = orders.flat_map(|order| &order.lines);
        lines.map(|line| u64::from(line.count)).sum()
    }

    // The reply is built in the server's memory, where the client reads it.
    fn article<'r>(&self, number: u32, out: &'r Scope) -> Result<Article<'r>, Refusal> {
        let articles = LIST.len() as u32;
        let entry = LIST.get(number as usize);
        build(entry.ok_or(Refusal::NoArticle { articles })?, out)
    }

    // A handler that waits for its reader runs in the pool.
    fn articles(&self, list: &mut Replies<Article<'static>>) {
        for entry in &LIST {
            // Either fails once nobody waits for the rest.
            let Ok(scope) = list.scope() else { return };
            let Ok(article) = build(entry, &scope) else {
                return;
            };
            if list.send_in(&scope, article).is_err() {
                return;
            }
        }
    }
}

fn with_parents<'a>(order: &'a Order<'a>) -> impl Iterator<Item = &'a Order<'a>> {
    successors(Some(order), |order| order.parent.as_deref())
}

fn build<'r>(
    (name, cents, colours): &(&str, u64, &[&str]),
    out: &'r Scope,
) -> Result<Article<'r>, Refusal> {
    let colours: Result<Vec<_>, _> = colours.iter().map(|colour| out.str(colour)).collect();
    Ok(Article {
        name: out.str(name)?,
        cents: *cents,
        colours: out.slice_of(colours?)?,
    })
}

fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1);
    let name = name.as_deref().unwrap_or("pricing");
    nowire::Server::builder()
        .add(PricingServer::new(Shop::default()))
        .serve(name)?;
    Ok(())
}
