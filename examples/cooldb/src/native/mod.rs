//! The store behind native calls: documents are built once, in memory that the
//! server reads too, and stay there.

mod client;
mod document;
mod page;
mod query;
mod service;

pub use self::client::{NativeClient, NativeError};
pub use self::document::{InScope, Json};
pub use self::page::{Found, Group, Page, Row, TooLarge};
pub use self::query::{Condition, Filter, Key, Query, Scalar, Select};
pub use self::service::{
    CoolDb, CoolDbAsyncClient, CoolDbClient, CoolDbServer, Refused, Service, StatsReply,
};
