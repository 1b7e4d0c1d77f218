//! What tonic does not show of a call: the compressed flag of each message, and which metadata
//! came first and which last.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, client::GrpcService, metadata::MetadataMap};
use tower_service::Service;

use crate::{Channel, compression};

/// Bytes before each message: the compressed flag and the length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// What went over the wire in one direction of one call, shared between the body that sees it
/// and whoever asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    flags: VecDeque<bool>,
    initial: HeaderMap,
    trailing: HeaderMap,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Nothing that runs under the lock can leave the record half-made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the oldest message not yet asked about was compressed.
    pub(crate) fn take_compressed(&self) -> Option<bool> {
        self.lock().flags.pop_front()
    }

    /// The metadata that came before the messages.
    pub(crate) fn initial(&self) -> MetadataMap {
        MetadataMap::from_headers(self.lock().initial.clone())
    }

    /// The metadata that came after the messages; complete once the call has ended.
    pub(crate) fn trailing(&self) -> MetadataMap {
        MetadataMap::from_headers(self.lock().trailing.clone())
    }
}

/// A body that passes everything on and writes down what it saw.
pub(crate) struct Observed {
    body: Body,
    wire: Wire,
    prefix: [u8; PREFIX_BYTES],
    prefix_len: usize,
    message_left: usize,
}

impl Observed {
    pub(crate) fn new(body: Body, wire: Wire) -> Self {
        Self {
            body,
            wire,
            prefix: [0; PREFIX_BYTES],
            prefix_len: 0,
            message_left: 0,
        }
    }

    fn see(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.message_left > 0 {
                let taken = self.message_left.min(data.len());
                self.message_left -= taken;
                data.advance(taken);
                continue;
            }
            self.prefix[self.prefix_len] = data.get_u8();
            self.prefix_len += 1;
            if self.prefix_len == PREFIX_BYTES {
                let [flag, length @ ..] = self.prefix;
                self.prefix_len = 0;
                self.message_left = u32::from_be_bytes(length) as usize;
                self.wire.lock().flags.push_back(flag != 0);
            }
        }
    }
}

impl http_body::Body for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let Some(data) = frame.data_ref() {
                self.see(data);
            } else if let Some(trailers) = frame.trailers_ref() {
                self.wire.lock().trailing = trailers.clone();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A channel that leaves a [`Wire`] in the extensions of each response, and that sends messages
/// uncompressed where the request's extensions hold [`compression::Wishes`] that say so.
#[derive(Clone, Debug)]
pub(crate) struct Watched<C>(pub(crate) C);

impl<C: Channel> Service<Request<Body>> for Watched<C> {
    type Response = Response<Body>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, C::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        GrpcService::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(wishes) = request.extensions_mut().remove::<compression::Wishes>() {
            request = request.map(|body| Body::new(compression::Expanded::new(body, wishes)));
        }
        let response = GrpcService::call(&mut self.0, request);
        Box::pin(async move {
            let mut response = response.await?;
            let wire = Wire::default();
            wire.lock().initial = response.headers().clone();
            response.extensions_mut().insert(wire.clone());
            Ok(response.map(|body| Body::new(Observed::new(body, wire))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_seen_wherever_the_frames_are_cut() {
        let bytes = [1, 0, 0, 0, 2, 9, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9];
        for step in 1..=bytes.len() {
            let wire = Wire::default();
            let mut observed = Observed::new(Body::empty(), wire.clone());
            for piece in bytes.chunks(step) {
                observed.see(piece);
            }
            let flags: Vec<_> = std::iter::from_fn(|| wire.take_compressed()).collect();
            assert_eq!(flags, [true, false, true], "pieces of {step} bytes");
        }
    }
}
