//! What client and server have in common: the types, and the trait.
#![forbid(unsafe_code)]

use nowire::{Kept, Ptr, Replies, Scope, ScopeError, Shared, Slice, Str};

/// What somebody wants to buy.
#[derive(Shared)]
pub struct Order<'s> {
    /// The customer's number for it.
    pub id: u64,
    /// What to write on the parcel.
    pub note: Str<'s>,
    /// What is in it.
    pub lines: Slice<'s, Line<'s>>,
    /// The order that this one adds to.
    pub parent: Option<Ptr<'s, Order<'s>>>,
}

/// So many of one article.
#[derive(Shared)]
pub struct Line<'s> {
    /// The name of the article.
    pub article: Str<'s>,
    /// How many.
    pub count: u32,
}

/// What an order costs, and how long it takes.
#[derive(Shared, Clone, Copy, Debug)]
pub struct Quote {
    /// The price in cents.
    pub cents: u64,
    /// Days until it is there.
    pub days: u32,
}

/// An entry of the price list.
#[derive(Shared)]
pub struct Article<'s> {
    /// Its name.
    pub name: Str<'s>,
    /// The price in cents.
    pub cents: u64,
    /// The colours it comes in.
    pub colours: Slice<'s, Str<'s>>,
}

/// Why there is no answer.
#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum Refusal {
    /// The article in this line of an order is not sold here.
    Unknown {
        /// The line, counted from 0.
        line: u32,
    },
    /// There is no article of this number.
    NoArticle {
        /// How many there are.
        articles: u32,
    },
    /// The reply is too long.
    NoRoom,
}

impl From<ScopeError> for Refusal {
    fn from(_: ScopeError) -> Self {
        Self::NoRoom
    }
}

/// Says what things cost.
#[nowire::service]
pub trait Pricing {
    /// What an order costs, with those it adds to.
    fn quote(&self, order: &Order) -> Result<Quote, Refusal>;

    /// Takes an order, and says how many were taken so far.
    fn place(&self, order: Kept<Order<'static>>) -> u64;

    /// What was ordered so far, in pieces.
    fn pieces(&self) -> u64;

    /// One article of the price list.
    fn article<'r>(&self, number: u32, out: &'r Scope) -> Result<Article<'r>, Refusal>;

    /// The price list.
    #[nowire(pool)]
    fn articles(&self, list: &mut Replies<Article<'static>>);
}
