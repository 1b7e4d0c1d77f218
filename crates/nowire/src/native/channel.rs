//! The client's end of a native connection, as its user sees it.

use std::sync::Arc;

use nowire_memory::data::Scope;
use nowire_memory::heap::{Keeping, RUN_HEADER_BYTES};

use super::binding::Known;
use super::client::Shared;
use super::link::{AllocateError, Link};
use crate::crash::crash_point;
use crate::error::ConnectionError;
use crate::wait::Wait;
use crate::{Address, ConnectError, ConnectOptions, Peer};

/// Size of a scope that nobody gave a size, in bytes.
const SCOPE_BYTES: usize = 64 << 10;

/// How a client makes native calls.
#[derive(Clone, Debug)]
pub struct ChannelOptions {
    /// How it meets the server.
    pub connect: ConnectOptions,
    /// How replies are kept still while they are checked and read; by default
    /// [`Keeping::Seal`], which no server can get around: what is sealed is read
    /// where it lies, the rest is copied.
    pub keeping: Keeping,
    /// How a call waits for its reply.
    pub wait: Wait,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions {
                heap: Some(crate::HeapOptions::default()),
                ..ConnectOptions::default()
            },
            keeping: Keeping::Seal,
            wait: Wait::Adaptive,
        }
    }
}

/// A connection over which native calls are made. Cheap to clone; the last
/// clone, scope and reply hang up.
#[derive(Clone)]
pub struct Channel {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel")
            .field("peer", &self.shared.link.peer)
            .field("over", &self.shared.link.over())
            .finish_non_exhaustive()
    }
}

/// Connects to the server of that name, blocking the thread for as long as the
/// handshake takes. Not to be called in a task: see [`Channel::connect`].
///
/// # Errors
/// One for each thing that can be in the way; its message says what to do.
pub fn connect(name: &str) -> Result<Channel, ConnectError> {
    connect_with(name, ChannelOptions::default())
}

/// [`connect`], with options.
///
/// # Errors
/// As [`connect`].
pub fn connect_with(name: &str, options: ChannelOptions) -> Result<Channel, ConnectError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ConnectError::Io {
            address: Address::Name(name.to_owned()),
            source,
        })?;
    runtime.block_on(Channel::connect(name, options))
}

impl Channel {
    /// Connects to a server by its name, `pricing` or `nowire:pricing`, or the
    /// address it announced.
    ///
    /// # Errors
    /// As [`connect`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(name: &str, options: ChannelOptions) -> Result<Self, ConnectError> {
        let address = Address::of_name(name)?;
        let met = crate::meet(&address, options.connect).await?;
        let peer = met.peer.clone();
        let Some((link, rx)) = Link::new(met, options.wait, options.keeping) else {
            return Err(ConnectError::NotNative { peer });
        };
        Ok(Self {
            shared: Arc::new(Shared::new(link, rx)),
        })
    }

    /// The server.
    pub fn peer(&self) -> &Peer {
        &self.shared.link.peer
    }

    /// Why no calls can be made any more, if so.
    pub fn over(&self) -> Option<ConnectionError> {
        self.shared.take_notice();
        self.shared.link.over().cloned()
    }

    /// A scope of 64 KiB for the arguments of calls on this channel.
    ///
    /// # Errors
    /// If the quota of the heap is used up, or the connection is over.
    pub fn scope(&self) -> Result<Scope, ScopeUnavailable> {
        self.scope_of(SCOPE_BYTES)
    }

    /// A scope with room for `bytes`, rounded up to whole pages.
    ///
    /// # Errors
    /// As [`scope`](Self::scope).
    pub fn scope_of(&self, bytes: usize) -> Result<Scope, ScopeUnavailable> {
        let link = &self.shared.link;
        let bytes = bytes.saturating_add(RUN_HEADER_BYTES);
        let allocate = || {
            if bytes as u64 >= u64::from(link.seal_from_bytes) {
                link.allocate_sealable(bytes)
            } else {
                link.allocate(bytes)
            }
        };
        let run = match allocate() {
            Err(lack) if lack.is_lack() => {
                // What the server gave back since the last call, and what only
                // this process has.
                self.shared.take_notice();
                link.shrink();
                allocate()
            }
            run => run,
        };
        let scope = run.map_err(ScopeUnavailable)?.scope();
        crash_point!("build.scope-given-out");
        Ok(scope)
    }

    /// Gives memory back to the system that no scope, call or keeper uses.
    pub fn shrink(&self) {
        self.shared.link.shrink();
    }

    /// Bytes of shared memory that this side has for arguments.
    pub fn heap_bytes(&self) -> usize {
        self.shared.link.heap().size_bytes()
    }

    /// Scopes that the server holds beyond their calls.
    pub fn held_scopes(&self) -> usize {
        self.shared.take_notice();
        self.shared.link.held_runs()
    }

    pub(crate) fn known(&self) -> &Known {
        &self.shared.known
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

/// There is no memory for a scope.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct ScopeUnavailable(AllocateError);
