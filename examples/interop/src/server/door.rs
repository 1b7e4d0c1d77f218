//! What tonic's generated server cannot do by itself: look at compressed flags, choose
//! compression message by message, and end a successful call with metadata of its own.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body, metadata::MetadataMap, server::NamedService};
use tower_service::Service;

use crate::{
    compression::{Expanded, Wishes},
    wire::{Observed, Wire},
};

/// Stands before a generated service and gives its handlers what tonic does not.
#[derive(Clone, Debug)]
pub struct Door<S>(S);

/// Metadata that the call shall end with; a handler puts it into the response's extensions.
#[derive(Clone, Debug)]
pub(super) struct Trailers(pub(super) MetadataMap);

impl<S> Door<S> {
    pub(super) fn new(service: S) -> Self {
        Self(service)
    }
}

impl<S: NamedService> NamedService for Door<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Door<S>
where
    S: Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        >,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let wire = Wire::default();
        request.extensions_mut().insert(wire.clone());
        let response = self
            .0
            .call(request.map(|body| Body::new(Observed::new(body, wire))));
        Box::pin(async move {
            let mut response = response.await?;
            let wishes = response.extensions_mut().remove::<Wishes>();
            if let Some(wishes) = wishes
                && response.headers().contains_key("grpc-encoding")
            {
                response = response.map(|body| Body::new(Expanded::new(body, wishes)));
            }
            if let Some(Trailers(trailers)) = response.extensions_mut().remove() {
                let extra = trailers.into_headers();
                response = response.map(|body| Body::new(WithTrailers { body, extra }));
            }
            Ok(response)
        })
    }
}

/// A body whose trailers carry more than tonic put there.
struct WithTrailers {
    body: Body,
    extra: HeaderMap,
}

impl http_body::Body for WithTrailers {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            trailers.extend(std::mem::take(&mut self.extra));
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
