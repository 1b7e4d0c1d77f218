//! Bodies over the halves of a stream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame};
use nowire::refs::{Carried, Carrier, Passings};
use nowire::{Block, Receiver, ResetCode, Sender, Sending, StreamError};
use nowire_protocol::head::HeadError;
use tonic::Status;

use crate::deadline::BodySide;
use crate::head;

/// What comes on a stream, as a body: of the request on the server, of the
/// response on the client.
#[derive(Debug)]
pub(crate) struct ReceiverBody {
    receiver: Option<Receiver>,
}

impl ReceiverBody {
    pub(crate) fn new(receiver: Receiver) -> Self {
        Self {
            receiver: Some(receiver),
        }
    }
}

impl Body for ReceiverBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(receiver) = &mut self.receiver else {
            return Poll::Ready(None);
        };
        let frame = match ready!(receiver.poll_data(cx)) {
            Some(Ok(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Err(error)) => Some(Err(status_of(&error))),
            None => receiver
                .take_tail()
                .map(|tail| match head::read_trailers(&tail) {
                    Ok(trailers) => Ok(Frame::trailers(trailers)),
                    Err(error) => {
                        receiver.cut_off(error.into());
                        Err(broken_head(receiver, error))
                    }
                }),
        };
        self.receiver = None;
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.receiver.is_none()
    }
}

/// The status of a call whose peer sent a block that cannot be read.
pub(crate) fn broken_head(receiver: &Receiver, error: HeadError) -> Status {
    Status::unavailable(format!(
        "{} misbehaved and was cut off: {error}",
        receiver.peer()
    ))
}

/// The status of a call whose stream ended before its time.
pub(crate) fn status_of(error: &StreamError) -> Status {
    match error {
        StreamError::Reset(ResetCode::Cancelled) => {
            Status::cancelled("the peer cancelled the call")
        }
        StreamError::Reset(ResetCode::Refused) => {
            Status::unavailable("the server refused the call before it was begun; try again")
        }
        StreamError::Reset(ResetCode::DeadlineExceeded) => {
            Status::deadline_exceeded("the deadline passed before the call was over")
        }
        StreamError::Reset(code) => {
            Status::internal(format!("the call ended without an answer: {code:?}"))
        }
        StreamError::Connection(error) => Status::unavailable(error.to_string()),
        error => Status::unknown(error.to_string()),
    }
}

/// A body on its way into a stream: as much of header block, data and trailers
/// in one frame as is there at the same time.
pub(crate) struct Upload<B> {
    sender: Sender,
    body: Option<B>,
    head: Option<Block>,
    data: Bytes,
    /// Data that came while looking for the end behind `data`.
    next: Bytes,
    tail: Option<Block>,
    end: bool,
    /// Of the data that has not been sent.
    references: Passings,
    carrier: Option<Carrier>,
    side: BodySide,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes, Error: Into<tower::BoxError>> + Unpin,
{
    pub(crate) fn new(sender: Sender, head: Block, body: B, side: BodySide) -> Self {
        let end = body.is_end_stream();
        let body = (!end).then_some(body);
        Self {
            carrier: sender.carrier(),
            references: Passings::new(),
            sender,
            body,
            head: Some(head),
            data: Bytes::new(),
            next: Bytes::new(),
            tail: None,
            end,
            side,
        }
    }

    /// Sends until the body has ended.
    ///
    /// # Errors
    /// If the stream is over before its time; if the body fails, with its error.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), UploadError>> {
        loop {
            self.gather(cx)?;
            if self.head.is_none() && self.data.is_empty() && !self.end {
                return Poll::Pending;
            }
            let mut sending = Sending {
                head: self.head.as_deref(),
                data: std::mem::take(&mut self.data),
                tail: self.tail.as_deref(),
                end: self.end && self.next.is_empty(),
                references: &mut self.references,
            };
            let sent = self.sender.poll_send(cx, &mut sending);
            let head_sent = sending.head.is_none();
            self.data = sending.data;
            if head_sent {
                self.head = None;
            }
            ready!(sent).map_err(UploadError::Stream)?;
            if self.sender.has_ended() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Takes from the body what it has: data, and the end behind it.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<(), UploadError> {
        if self.data.is_empty() && !self.next.is_empty() {
            self.data = std::mem::take(&mut self.next);
        }
        while self.next.is_empty() {
            let Some(body) = &mut self.body else { break };
            let produce = || Pin::new(body).poll_frame(cx);
            let (produced, carried) = Carried::collect(&mut self.carrier, produce);
            if let Some(carried) = carried {
                carried.append_to(&mut self.references, &self.sender);
            }
            match produced {
                Poll::Pending => break,
                Poll::Ready(None) => self.finish(),
                Poll::Ready(Some(Err(error))) => self.fail(Status::from_error(error.into()))?,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if self.data.is_empty() => self.data = data,
                    Ok(data) => self.next = data,
                    Err(frame) => {
                        if let (BodySide::Server, Ok(trailers)) = (self.side, frame.into_trailers())
                        {
                            let mut tail = Block::new();
                            let written = head::write_headers(&mut tail, &trailers);
                            if written.is_err() || tail.len() > self.sender.block_limit() {
                                tail = trailers_of(&Status::internal(
                                    "the handler's trailers are too large to be sent",
                                ));
                            }
                            self.tail = Some(tail);
                        }
                        self.finish();
                    }
                },
            }
        }
        Ok(())
    }

    fn fail(&mut self, status: Status) -> Result<(), UploadError> {
        self.finish();
        match self.side {
            BodySide::Client => Err(UploadError::Body(status)),
            BodySide::Server => {
                self.tail = Some(trailers_of(&status));
                Ok(())
            }
        }
    }

    fn finish(&mut self) {
        self.body = None;
        self.end = true;
    }

    /// The sending half, when the body is given up.
    pub(crate) fn sender(&mut self) -> &mut Sender {
        &mut self.sender
    }
}

/// The trailer block of a status.
fn trailers_of(status: &Status) -> Block {
    let mut block = Block::new();
    let mut trailers = HeaderMap::with_capacity(2);
    let added = status.add_header(&mut trailers);
    if added.is_err() || head::write_headers(&mut block, &trailers).is_err() {
        block.clear();
        // A code alone can always be written.
        let _ = nowire_protocol::head::write_field(
            &mut block,
            "grpc-status",
            (status.code() as i32).to_string().as_bytes(),
        );
    }
    block
}

/// Why a body did not get through.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The stream is over.
    Stream(StreamError),
    /// The body failed.
    Body(Status),
}

impl UploadError {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Stream(error) => status_of(error),
            Self::Body(status) => status.clone(),
        }
    }
}
