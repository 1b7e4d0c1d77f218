//! A store of JSON documents that can be reached in several ways, to see what the
//! ways cost.
//!
//! The store is the same for all of them: it keeps documents as they came,
//! whatever holds them, finds them through indexes or by looking at all of them,
//! and never copies one but into an answer. What differs is how a document comes
//! to the server and an answer to the client.
//!
//! ```
//! use nowire_cooldb::nobench::{Collection, INDEXES, Question};
//! use nowire_cooldb::plain::Plain;
//! use nowire_cooldb::query::Key;
//! use nowire_cooldb::store::Store;
//!
//! let collection = Collection::new(1, 500);
//! let mut store = Store::new(INDEXES);
//! let batch: Result<Vec<_>, _> = collection
//!     .records(0..500)
//!     .map(|record| record.build(&Plain))
//!     .collect();
//! store.insert(batch?)?;
//! let key = Key::Field { path: "str1".into(), text: "GQYTE===".into() };
//! assert_eq!(store.get(&key).map(|(id, _)| id), Some(412));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod builder;
pub mod client;
pub mod document;
pub mod grpc;
pub mod native;
pub mod nobench;
mod path;
pub mod plain;
pub mod query;
pub mod reader;
pub mod store;
