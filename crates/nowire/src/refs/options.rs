use nowire_memory::heap::Keeping;
use nowire_memory::refs::Pool;

use crate::SealFrom;

/// Most descriptors of references that are held by default, where the process may
/// have many.
const HELD_LIMIT: usize = 1024;

/// What a side of a connection does with references.
#[derive(Clone, Debug)]
pub struct RefOptions {
    /// Whether references pass through the connection, if the peer agrees; they do
    /// by default. Without, all data goes by value.
    pub enabled: bool,
    /// How memory of others is kept from changing while it is read here: by
    /// [`Keeping::Copy`], by default, unless its owner has sealed it.
    pub keeping: Keeping,
    /// Which memory its owner shall seal before it comes here, so that it need not
    /// be copied to be read; none by default. A seal costs the owner the segment,
    /// which cannot be used again.
    pub seal: SealFrom,
    /// Most descriptors of the peer's references that this process keeps at a time;
    /// a quarter of what the limit of open files allows by default, and 1024 at
    /// most. What comes beyond is refused, and the call that brought it is told.
    pub held_limit: usize,
    /// Size in bytes from which a [`Blob`](super::Blob) goes by reference; shorter
    /// ones go by value. 48 KiB by default. Where services pass data on, less is
    /// better: through two of them 32 KiB cost as much either way. To a single one,
    /// passing a descriptor costs as much as copying up to 100 KiB.
    pub reference_from_bytes: usize,
    /// Where memory for what is sent comes from: bytes that are long enough to go
    /// by reference, parts of a segment that go alone. By default the pool of the
    /// process.
    pub pool: Option<Pool>,
}

fn held_limit() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    files
        .map_or(HELD_LIMIT, |files| {
            usize::try_from(files / 4).unwrap_or(HELD_LIMIT)
        })
        .min(HELD_LIMIT)
}

impl Default for RefOptions {
    fn default() -> Self {
        Self {
            enabled: true,
            keeping: Keeping::Copy,
            seal: SealFrom::Never,
            held_limit: held_limit(),
            reference_from_bytes: 48 << 10,
            pool: None,
        }
    }
}
