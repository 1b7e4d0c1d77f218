//! A handler that panics fails its call and nothing else, alike on both carriers.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

/// Answers INTERNAL where the service behind it panics.
#[derive(Clone, Debug)]
pub(crate) struct PanicService<S> {
    inner: S,
}

impl<S> PanicService<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, B> Service<Request<B>> for PanicService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = PanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        PanicFuture { inner: inner.ok() }
    }
}

pin_project! {
    /// The answer of a handler; none is left of one that panicked.
    #[derive(Debug)]
    pub(crate) struct PanicFuture<F> {
        #[pin]
        inner: Option<F>,
    }
}

impl<F, E> Future for PanicFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(Ok(failed()));
        };
        // A handler that panicked is never looked at again, only dropped.
        catch_unwind(AssertUnwindSafe(|| inner.poll(cx))).unwrap_or_else(|_| {
            this.inner.set(None);
            Poll::Ready(Ok(failed()))
        })
    }
}

fn failed() -> Response<Body> {
    Status::internal("the handler panicked").into_http()
}
