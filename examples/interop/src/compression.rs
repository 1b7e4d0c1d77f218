//! Messages of one stream, some compressed and some not.
//!
//! tonic compresses all messages of a stream or none. The cases want a choice for each message,
//! so tonic compresses all and [`Expanded`] undoes it where the choice was against it.

use std::{
    collections::VecDeque,
    io::Read,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::read::GzDecoder;
use http_body::Frame;
use tonic::{Status, body::Body};

use crate::wire::PREFIX_BYTES;

/// For each message of a stream, in order: whether it shall stay compressed. A message that
/// nobody wished anything for does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes(Arc<Mutex<VecDeque<bool>>>);

impl Wishes {
    pub(crate) fn new(wishes: impl IntoIterator<Item = bool>) -> Self {
        Self(Arc::new(Mutex::new(wishes.into_iter().collect())))
    }

    /// To be called before the message it is about is handed to tonic.
    pub(crate) fn push(&self, compressed: bool) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(compressed);
    }

    fn take(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
            .unwrap_or(false)
    }
}

/// A gzip-compressed body with some of its messages expanded again.
pub(crate) struct Expanded {
    body: Body,
    wishes: Wishes,
    pending: BytesMut,
}

impl Expanded {
    pub(crate) fn new(body: Body, wishes: Wishes) -> Self {
        Self {
            body,
            wishes,
            pending: BytesMut::new(),
        }
    }

    /// The messages that are complete, as they shall go out.
    fn complete(&mut self) -> Result<Bytes, Status> {
        let mut out = BytesMut::new();
        while self.pending.len() >= PREFIX_BYTES {
            let mut prefix = &self.pending[..PREFIX_BYTES];
            let compressed = prefix.get_u8() != 0;
            let length = prefix.get_u32() as usize;
            if self.pending.len() < PREFIX_BYTES + length {
                break;
            }
            let message = self.pending.split_to(PREFIX_BYTES + length);
            if self.wishes.take() || !compressed {
                out.extend_from_slice(&message);
                continue;
            }
            let mut plain = Vec::new();
            GzDecoder::new(&message[PREFIX_BYTES..])
                .read_to_end(&mut plain)
                .map_err(|err| Status::internal(format!("own message does not expand: {err}")))?;
            let length = u32::try_from(plain.len())
                .map_err(|_| Status::resource_exhausted("message of more than 4 GiB"))?;
            out.put_u8(0);
            out.put_u32(length);
            out.extend_from_slice(&plain);
        }
        Ok(out.freeze())
    }
}

impl http_body::Body for Expanded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            match frame.into_data() {
                Ok(data) => {
                    self.pending.extend_from_slice(&data);
                    let out = self.complete()?;
                    if !out.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(out))));
                    }
                }
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
    }
}
