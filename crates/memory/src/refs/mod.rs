//! References: large data is written once and named by a token afterwards.
//!
//! The words of `DmRPC` are `create_ref` for [`Buffer::share`] and `map_ref` for
//! [`Ref::map`] (to read) and [`Ref::edit`] (to write, by copy-on-write).
//!
//! A [`Buffer`] is memory of a [`Pool`] that only its holder writes. Sharing it
//! gives up writing and makes a [`Ref`], which names bytes that do not change
//! any more: it can be cloned, cut ([`Ref::slice`]), read by many at once, and
//! passed to other processes, which can pass it on.
//!
//! Every buffer is a segment of its own, and passing a ref passes the segment's
//! descriptor, for reading only. So the kernel's table of descriptors and
//! mappings *is* the record of who holds what: it cannot be forged, is right at
//! every instant, and a dead process's part of it is gone with the process.
//! There are no counts of references that processes share.
//!
//! - **Who may read.** A descriptor opens all of its segment. So it is passed only
//!   if the ref names all that was ever written there, or the peer has the segment
//!   already; else the bytes that are named are copied to a segment of their own
//!   first, once for each ref. All other passing costs the same at any size: a
//!   descriptor is sent, received and closed. (The example `ref_costs` measures it.)
//! - **Reuse.** Memory that was passed is used again when the kernel proves that
//!   nobody else holds the open file that was passed (see [`Reuse`]).
//! - **Mapping.** A segment that comes a second time stays mapped afterwards, as
//!   nearly all of them come again. The mapping is of another open file than the one
//!   that was passed, so it holds nothing.
//! - **Keeping still.** Who reads decides whether it trusts the owner not to write
//!   any more ([`Keeping`](crate::heap::Keeping)); the owner seals a segment for
//!   good where the peer asks for that ([`Audience::seal_from_bytes`]).

mod arrived;
mod body;
mod buffer;
mod class;
mod connections;
mod edit;
mod error;
mod familiar;
mod foreign;
mod options;
mod own;
mod pass;
mod pool;
mod reference;
mod scratch;
mod source;
mod stock;
mod travel;
mod usage;
#[allow(unsafe_code, reason = "memory of peers is mapped here")]
mod view;

pub use buffer::Buffer;
pub use edit::{Edit, EditView};
pub use error::{ExtentFlaw, PoolError, RefError};
pub use options::{PoolOptions, Reuse};
pub use pass::{Audience, Extent, MAX_DESCRIPTORS, MAX_EXTENTS, Passed};
pub use pool::Pool;
pub use reference::Ref;
pub use source::Source;
pub use travel::{ByReference, ByValue, Travel};
pub use usage::Usage;
pub use view::View;

/// Size in bytes of the pages that [`Edit`] copies when they are changed.
pub const PAGE_BYTES: usize = 4096;
