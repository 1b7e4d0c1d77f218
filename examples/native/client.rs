//! A customer: asks for prices, looks through the list, and buys.
#![forbid(unsafe_code)]

use std::time::Duration;

use nowire::{CallError, Channel, Ptr, Scope, ScopeError};
use pricing::{Article, Line, Order, PricingAsyncClient, PricingClient, Refusal};

fn main() -> anyhow::Result<()> {
    let name = std::env::args().nth(1);
    let channel = nowire::connect(name.as_deref().unwrap_or("pricing"))?;
    block(PricingClient::new(channel.clone()))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(wait(channel))
}

/// An order for tea, and one that adds a plate to it.
fn order<'s>(scope: &'s Scope) -> Result<Ptr<'s, Order<'s>>, ScopeError> {
    let line = |article, count| {
        let article = scope.str(article)?;
        Ok(Line { article, count })
    };
    let tea = scope.build(Order {
        id: 6,
        note: scope.str("")?,
        lines: scope.slice_of([line("teapot", 1)?, line("cup", 4)?])?,
        parent: None,
    })?;
    scope.build(Order {
        id: 7,
        note: scope.str("a gift")?,
        lines: scope.slice_of([line("plate", 2)?])?,
        parent: Some(tea),
    })
}

/// With a client whose methods block.
fn block(pricing: PricingClient) -> anyhow::Result<()> {
    // Memory that the server can read: what is built in it is not sent.
    let scope = pricing.scope()?;
    let order = order(&scope)?;
    let quote = pricing.quote(&order)?;
    println!(
        "order {}: {} in {} days",
        order.id,
        euros(quote.cents),
        quote.days
    );

    // Both calls are on their way before either is waited for.
    let (first, last) = (pricing.article_later(0)?, pricing.article_later(2)?);
    println!("article 0: {}", show(first.wait()?.get()));
    println!("article 2: {}", show(last.wait()?.get()));

    match pricing.article(99) {
        Err(CallError::Returned(Refusal::NoArticle { articles })) => {
            println!("article 99: there are only {articles}");
        }
        other => anyhow::bail!("article 99: {:?}", other.map(drop)),
    }

    // An order that is given away cannot be changed any more.
    println!("orders placed: {}", *pricing.place(order)?);
    drop(scope);
    println!("pieces ordered: {}", *pricing.pieces()?);

    let mut articles = pricing.articles()?;
    while let Some(article) = articles.next_reply()? {
        println!("for sale: {}", show(article.get()));
    }
    articles.finish()?;
    Ok(())
}

/// With a client of the same trait whose methods are awaited.
async fn wait(channel: Channel) -> anyhow::Result<()> {
    let pricing = PricingAsyncClient::new(channel).timeout(Duration::from_secs(10));
    let scope = pricing.scope()?;
    let order = order(&scope)?;
    let (quote, article) = tokio::try_join!(pricing.quote(&order), pricing.article(1))?;
    println!("awaited: {}, {}", euros(quote.cents), show(article.get()));
    Ok(())
}

fn show(article: &Article<'_>) -> String {
    let colours: Vec<&str> = article.colours.iter().map(|colour| &**colour).collect();
    let (name, price) = (&article.name, euros(article.cents));
    format!("{name} for {price}, {}", colours.join(" or "))
}

fn euros(cents: u64) -> String {
    format!("{}.{:02} €", cents / 100, cents % 100)
}
