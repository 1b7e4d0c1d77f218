//! Arguments on their way: the root of their tuple, and the run that everything
//! they point to lies in.

use std::sync::Arc;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::heap::Run;
use nowire_protocol::frame::{Message, StreamId};
use nowire_protocol::head::Block;

use super::attached::{Attaching, CannotGo, Going};
use super::bound::{Bound, Metadata};
use super::call_error::CallError;
use super::held::Given;
use super::value::{Parts, Root, Sent, With};
use crate::crash::crash_point;

pub(super) struct Outgoing {
    pub(super) message: Message,
    /// What does not fit into the message.
    pub(super) ahead: Option<Box<With>>,
    pub(super) given: Option<Given>,
}

impl Outgoing {
    /// With nothing to send yet.
    #[inline]
    pub(super) fn new(code: u16, timeout_us: u32) -> Self {
        Self {
            message: Message {
                stream: StreamId { index: 0, call: 0 },
                flags: 0,
                code,
                timeout_us,
                page: 0,
                bytes: 0,
                inline: [0; 4],
            },
            ahead: None,
            given: None,
        }
    }

    #[inline]
    pub(super) fn sent(&self) -> Sent<'_> {
        self.ahead.as_deref().map_or(Sent::Inline, Sent::With)
    }
}

/// What a deadline is on the wire.
pub(super) fn timeout_us(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now());
    // More than an hour is not said: the caller will stop waiting itself.
    u32::try_from(left.as_micros()).map_or(0, |us| us.max(1))
}

impl Bound {
    /// A call or item ready to be sent.
    #[inline]
    pub(super) fn outgoing<A: Shared, E>(
        &self,
        code: u16,
        args: &A,
        attaching: Option<Box<Attaching>>,
        deadline: Option<Instant>,
        with_metadata: bool,
    ) -> Result<Outgoing, CallError<E>> {
        let mut outgoing = Outgoing::new(code, deadline.map_or(0, timeout_us));
        self.fill(&mut outgoing, args, attaching, with_metadata)?;
        Ok(outgoing)
    }

    /// Fills in where it lies what is to be sent: what was just written in small
    /// parts is slow to move.
    #[inline]
    pub(super) fn fill<A: Shared, E>(
        &self,
        outgoing: &mut Outgoing,
        args: &A,
        attaching: Option<Box<Attaching>>,
        with_metadata: bool,
    ) -> Result<(), CallError<E>> {
        if A::POINTERS
            && let Some(run) = self.run_of(args)?
        {
            let given = Given::all_of(run);
            outgoing.message.page = given.run.page();
            outgoing.message.bytes = given.bytes;
            outgoing.given = Some(given);
        }
        let metadata = self.metadata.as_ref().filter(|_| with_metadata);
        if Root::is_inline::<A>() && metadata.is_none() && attaching.is_none() {
            nowire_memory::data::write_root(args, &mut outgoing.message.inline);
            return Ok(());
        }
        let (root, bytes) = (Root::of(args), size_of::<A>());
        let message = &mut outgoing.message;
        outgoing.ahead = self.ahead::<E>(message, &root, bytes, metadata, attaching)?;
        Ok(())
    }

    /// What goes ahead of a message that does not hold all there is to send.
    #[cold]
    fn ahead<E>(
        &self,
        message: &mut Message,
        root: &Root,
        root_bytes: usize,
        metadata: Option<&Metadata>,
        attaching: Option<Box<Attaching>>,
    ) -> Result<Option<Box<With>>, CallError<E>> {
        let going = match attaching {
            None => Going::default(),
            Some(attaching) => attaching.going().map_err(|cannot| match cannot {
                CannotGo::Reference(error) => CallError::Reference(error),
                CannotGo::NoReferences => CallError::NoReferences {
                    peer: self.shared().link.label(),
                },
            })?,
        };
        let parts = match root {
            Root::Inline(words) if metadata.is_none() && going.bytes.is_empty() => {
                message.inline = *words;
                None
            }
            _ => {
                message.flags |= Message::AHEAD;
                let root = root.to_bytes(root_bytes);
                Some(self.parts::<E>(root, metadata, going.bytes)?)
            }
        };
        Ok(match parts {
            None if going.passing.is_empty() => None,
            parts => Some(Box::new(With::new(going.passing, parts))),
        })
    }

    fn parts<E>(
        &self,
        root: Vec<u8>,
        metadata: Option<&Metadata>,
        bytes: Vec<u8>,
    ) -> Result<Parts, CallError<E>> {
        let metadata = match metadata {
            None => Block::new(),
            Some(Ok(metadata)) => metadata.as_ref().clone(),
            Some(Err(reason)) => return Err(CallError::Metadata(reason.clone())),
        };
        let limit_bytes = self.shared().link.root_limit_bytes();
        let all_bytes = root.len() + metadata.len() + bytes.len();
        if all_bytes > limit_bytes {
            return Err(CallError::TooLarge {
                bytes: all_bytes,
                limit_bytes,
            });
        }
        Ok(Parts {
            root,
            metadata,
            bytes,
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
        crash_point!("publish.scope-sealed");
        Ok(Some(run))
    }
}
