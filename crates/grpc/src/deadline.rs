//! Deadlines, enforced alike on both sides and on both carriers.
//!
//! A deadline covers the whole call: the wait for the answer and the stream
//! after it. When it passes, what is behind it is dropped - the handler on the
//! server, the stream on the client - and the status is DEADLINE_EXCEEDED. The
//! timer is made when something first has to wait, so that a call which is
//! answered at once pays for none.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tower_service::Service;

/// When a call has to be over.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// The earlier of `grpc-timeout` and the limit that was configured.
    pub(crate) fn new(headers: &HeaderMap, limit: Option<Duration>) -> Self {
        let asked = headers
            .get("grpc-timeout")
            .and_then(|value| parse_timeout(value.as_bytes()));
        let timeout = match (asked, limit) {
            (Some(asked), Some(limit)) => Some(asked.min(limit)),
            (asked, limit) => asked.or(limit),
        };
        Self {
            at: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            timer: None,
        }
    }

    fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// Ready when the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Status::deadline_exceeded(
            "the deadline passed before the call was over",
        ))
    }
}

/// Reads a `grpc-timeout`: at most eight digits and a unit. None if it is not
/// one; gRPC has such a header ignored.
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits
        .iter()
        .fold(0_u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(count * 3600)),
        b'M' => Some(Duration::from_secs(count * 60)),
        b'S' => Some(Duration::from_secs(count)),
        b'm' => Some(Duration::from_millis(count)),
        b'u' => Some(Duration::from_micros(count)),
        b'n' => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

pin_project! {
    /// The answer to a call, if it comes before the deadline.
    #[derive(Debug)]
    pub(crate) struct Timed<F> {
        #[pin]
        inner: Option<F>,
        deadline: Option<Deadline>,
    }
}

impl<F> Timed<F> {
    pub(crate) fn new(inner: F, deadline: Deadline) -> Self {
        Self {
            inner: Some(inner),
            deadline: Some(deadline),
        }
    }
}

/// What became of a timed call.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It ended by itself; the deadline goes on for what follows.
    Done(T, Deadline),
    /// The deadline passed and the call was dropped.
    Expired(Status),
}

impl<F: Future> Future for Timed<F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(inner), Some(deadline)) =
            (this.inner.as_mut().as_pin_mut(), this.deadline.as_mut())
        else {
            return Poll::Pending;
        };
        if let Poll::Ready(output) = inner.poll(cx) {
            let deadline = this.deadline.take().unwrap_or(Deadline {
                at: None,
                timer: None,
            });
            return Poll::Ready(Outcome::Done(output, deadline));
        }
        let status = ready!(deadline.poll(cx));
        this.inner.set(None);
        Poll::Ready(Outcome::Expired(status))
    }
}

pin_project! {
    /// A body that ends with DEADLINE_EXCEEDED when the deadline passes.
    #[derive(Debug)]
    pub(crate) struct TimedBody<B> {
        #[pin]
        inner: Option<B>,
        deadline: Deadline,
        side: BodySide,
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodySide {
    /// To the client's stub: as an error.
    Client,
    /// To the client over the wire: as trailers.
    Server,
}

impl<B> TimedBody<B> {
    pub(crate) fn new(inner: B, deadline: Deadline, side: BodySide) -> Self {
        Self {
            inner: Some(inner),
            deadline,
            side,
        }
    }
}

impl<B> Body for TimedBody<B>
where
    B: Body<Data = Bytes, Error: Into<tower::BoxError>>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = inner.poll_frame(cx) {
            return Poll::Ready(
                frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))),
            );
        }
        let status = ready!(this.deadline.poll(cx));
        this.inner.set(None);
        Poll::Ready(Some(match this.side {
            BodySide::Client => Err(status),
            BodySide::Server => {
                let mut trailers = HeaderMap::with_capacity(2);
                status
                    .add_header(&mut trailers)
                    .map(|()| Frame::trailers(trailers))
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

/// A body with a deadline if there is one, in a box only where one is needed.
pub(crate) fn timed_body<B>(body: B, deadline: Deadline, side: BodySide) -> tonic::body::Body
where
    B: Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    if deadline.is_set() && !body.is_end_stream() {
        tonic::body::Body::new(TimedBody::new(body, deadline, side))
    } else {
        tonic::body::Body::new(body)
    }
}

/// Enforces deadlines on the server, in front of the handlers.
#[derive(Clone, Debug)]
pub(crate) struct DeadlineService<S> {
    inner: S,
    limit: Option<Duration>,
}

impl<S> DeadlineService<S> {
    pub(crate) fn new(inner: S, limit: Option<Duration>) -> Self {
        Self { inner, limit }
    }
}

impl<S, B, R> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<tower::BoxError>>,
    R: Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    type Response = Response<tonic::body::Body>;
    type Error = tower::BoxError;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let deadline = Deadline::new(request.headers(), self.limit);
        DeadlineFuture {
            inner: Timed::new(self.inner.call(request), deadline),
        }
    }
}

pin_project! {
    /// The answer of a handler, or DEADLINE_EXCEEDED.
    #[derive(Debug)]
    pub(crate) struct DeadlineFuture<F> {
        #[pin]
        inner: Timed<F>,
    }
}

impl<F, R, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<tower::BoxError>,
    R: Body<Data = Bytes, Error: Into<tower::BoxError>> + Send + 'static,
{
    type Output = Result<Response<tonic::body::Body>, tower::BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().inner.poll(cx)) {
            Outcome::Done(Ok(response), deadline) => {
                Ok(response.map(|body| timed_body(body, deadline, BodySide::Server)))
            }
            Outcome::Done(Err(error), _) => Err(error.into()),
            Outcome::Expired(status) => Ok(status.into_http()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse_timeout(b"5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse_timeout(b"250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            parse_timeout(b"99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600))
        );
        assert_eq!(parse_timeout(b"1n"), Some(Duration::from_nanos(1)));
    }

    #[test]
    fn what_is_no_timeout_is_ignored() {
        for bad in [&b""[..], b"S", b"5", b"5x", b"-5S", b"123456789S", b"5 S"] {
            assert_eq!(parse_timeout(bad), None, "{bad:?}");
        }
    }
}
