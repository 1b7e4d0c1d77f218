//! Arguments on their way: the root of their tuple, and the run that everything
//! they point to lies in.

use std::sync::Arc;
use std::time::Instant;

use nowire_memory::data::Shared;
use nowire_memory::heap::Run;
use nowire_protocol::frame::{Message, StreamId};
use nowire_protocol::head::Block;

use super::attached::Attaching;
use super::bound::{Bound, Metadata};
use super::call_error::CallError;
use super::value::{Root, Sent, With};
use crate::crash::crash_point;

pub(super) struct Outgoing {
    pub(super) message: Message,
    pub(super) ahead: Option<Box<Ahead>>,
    pub(super) run: Option<Arc<Run>>,
}

/// What does not fit into the message.
pub(super) enum Ahead {
    /// The root and metadata.
    Parts(Vec<u8>, Block),
    With(With),
}

impl Outgoing {
    #[inline]
    pub(super) fn sent(&self) -> Sent<'_> {
        match self.ahead.as_deref() {
            None => Sent::Inline,
            Some(Ahead::Parts(root, metadata)) => Sent::Ahead { root, metadata },
            Some(Ahead::With(with)) => Sent::With(with),
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
        attaching: &Attaching,
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
            // More than an hour is not said: the caller will stop waiting itself.
            message.timeout_us = u32::try_from(left.as_micros()).map_or(0, |us| us.max(1));
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
        let metadata = self.metadata.as_ref().filter(|_| with_metadata);
        let parts = match (&root, metadata) {
            (Root::Inline(words), None) => {
                message.inline = *words;
                None
            }
            _ => {
                message.flags |= Message::AHEAD;
                Some(self.parts::<E>(root.to_bytes(size_of::<A>()), metadata)?)
            }
        };
        let ahead = match parts {
            parts if !attaching.is_empty() => Some(self.with(attaching, parts)?),
            None => None,
            Some((root, metadata)) => Some(Box::new(Ahead::Parts(root, metadata))),
        };
        Ok(Outgoing {
            message,
            ahead,
            run,
        })
    }

    /// What goes ahead of a message that has references.
    #[cold]
    fn with<E>(
        &self,
        attaching: &Attaching,
        parts: Option<(Vec<u8>, Block)>,
    ) -> Result<Box<Ahead>, CallError<E>> {
        let link = &self.shared().link;
        let Some(references) = link.references() else {
            return Err(CallError::NoReferences { peer: link.label() });
        };
        let passing = attaching.pass(references)?;
        Ok(Box::new(Ahead::With(With::new(passing, parts))))
    }

    #[cold]
    fn parts<E>(
        &self,
        root: Vec<u8>,
        metadata: Option<&Metadata>,
    ) -> Result<(Vec<u8>, Block), CallError<E>> {
        let metadata = match metadata {
            None => Block::new(),
            Some(Ok(metadata)) => metadata.as_ref().clone(),
            Some(Err(reason)) => return Err(CallError::Metadata(reason.clone())),
        };
        let limit_bytes = self.shared().link.root_limit_bytes();
        let bytes = root.len() + metadata.len();
        if bytes > limit_bytes {
            return Err(CallError::TooLarge { bytes, limit_bytes });
        }
        Ok((root, metadata))
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
