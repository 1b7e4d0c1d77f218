//! Arguments on their way: the root of their tuple, and the run that everything
//! they point to lies in.

use std::sync::Arc;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::heap::Run;
use nowire_protocol::frame::{Message, StreamId};
use nowire_protocol::head::Block;

use super::bound::Bound;
use super::call_error::CallError;
use super::value::{Root, Sent};

pub(super) struct Outgoing {
    pub(super) message: Message,
    pub(super) ahead: Option<(Vec<u8>, Block)>,
    pub(super) run: Option<Arc<Run>>,
}

impl Outgoing {
    #[inline]
    pub(super) fn sent(&self) -> Sent<'_> {
        match &self.ahead {
            None => Sent::Inline,
            Some((root, metadata)) => Sent::Ahead { root, metadata },
        }
    }
}

impl Bound {
    /// A call or item ready to be sent.
    #[inline]
    pub(super) fn outgoing<A: Shared, E>(
        &self,
        code: u16,
        args: &A,
        deadline: Option<Instant>,
        with_metadata: bool,
    ) -> Result<Outgoing, CallError<E>> {
        let root = Root::of(args);
        let mut message = Message {
            stream: StreamId { index: 0, call: 0 },
            flags: 0,
            code,
            timeout_us: 0,
            page: 0,
            bytes: 0,
            inline: [0; 4],
        };
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            message.timeout_us = u32::try_from(left.as_micros()).unwrap_or(u32::MAX).max(1);
        }
        let run = if A::POINTERS {
            self.run_of(args)?
        } else {
            None
        };
        if let Some(run) = &run {
            message.page = run.page();
            message.bytes = run.used_bytes();
        }
        let metadata = if with_metadata && !self.metadata.is_empty() {
            if let Some(error) = &self.metadata_error {
                return Err(CallError::Metadata(error.clone()));
            }
            self.metadata.clone()
        } else {
            Block::new()
        };
        let bytes = size_of::<A>();
        let ahead = match &root {
            Root::Inline(words) if metadata.is_empty() => {
                message.inline = *words;
                None
            }
            _ => {
                let limit_bytes = self.shared().link.root_limit_bytes();
                let total = bytes + metadata.len();
                if total > limit_bytes {
                    return Err(CallError::TooLarge {
                        bytes: total,
                        limit_bytes,
                    });
                }
                message.flags |= Message::AHEAD;
                Some((root.to_bytes(bytes), metadata))
            }
        };
        Ok(Outgoing {
            message,
            ahead,
            run,
        })
    }

    /// The one run that everything in the arguments lies in.
    pub(super) fn run_of<A: Shared, E>(&self, args: &A) -> Result<Option<Arc<Run>>, CallError<E>> {
        let Some(address) = nowire_memory::data::first_address(args) else {
            return Ok(None);
        };
        let Some(run) = self.shared().link.heap().find(address) else {
            return Err(CallError::OtherChannel);
        };
        if !self.shared().link.lies_in(args, &run) {
            return Err(CallError::SeveralScopes);
        }
        if run.is_sealable()
            && let Err(error) = run.seal()
        {
            // The server then copies what it can not be sure of.
            tracing::debug!(%error, "a scope was not sealed");
        }
        Ok(Some(run))
    }
}
