//! References: large data is written once, and what travels is a token (DmRPC,
//! HPDC 2023).
//!
//! [`Pool`], [`Buffer`], [`Ref`], [`View`] and [`Edit`] are the memory; a [`Blob`]
//! is the same for messages that may also go to peers without it. A reference
//! passes through a connection as a descriptor of its segment, and whoever has the
//! descriptor keeps the memory: there is nothing to count and nothing to repair.
//!
//! ```
//! use nowire::{Pool, Ref};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::process();
//! let mut buffer = pool.alloc(100_000)?;
//! buffer[..5].copy_from_slice(b"hello");
//! let reference: Ref = buffer.share();
//!
//! // Whoever has a reference may write: pages are copied as they are written.
//! let mut edit = reference.edit(pool)?;
//! edit.write(0, b"J")?;
//! let changed = edit.share();
//!
//! assert_eq!(&reference.map()?[..5], b"hello");
//! assert_eq!(&changed.map()?[..5], b"Jello");
//! # Ok(())
//! # }
//! ```

#[cfg_attr(
    not(feature = "prost"),
    allow(dead_code, reason = "tokens go in messages")
)]
mod arrived;
mod arriving;
mod blob;
#[cfg(feature = "prost")]
mod blob_message;
#[cfg_attr(
    not(feature = "prost"),
    allow(dead_code, reason = "tokens go in messages")
)]
mod carried;
#[cfg_attr(
    not(feature = "prost"),
    allow(dead_code, reason = "tokens go in messages")
)]
mod connection;
mod options;

pub use nowire_memory::refs::*;

pub(crate) use self::arriving::{Arriving, Come, Step};
pub use self::blob::{Blob, BlobView};
pub use self::carried::{Carried, encoding};
pub(crate) use self::connection::{Agreed, Counts, References};
pub use self::connection::{Carrier, Passing, Passings};
pub use self::options::RefOptions;
