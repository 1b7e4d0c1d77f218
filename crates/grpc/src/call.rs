//! The client's side of one call through shared memory.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use nowire::{Block, Connection, Receiver, ResetCode, Vacancy};
use tonic::Status;
use tonic::body::Body;

use crate::body::{ReceiverBody, Upload, UploadError, broken_head, status_of};
use crate::deadline::BodySide;
use crate::head;

/// The answer to a request, as a future. Dropping it cancels the call.
pub(crate) struct Call {
    state: State,
}

enum State {
    Opening {
        connection: Connection,
        authority: Arc<str>,
        request: Option<Request<Body>>,
        vacancy: Vacancy,
    },
    Waiting {
        upload: Option<Upload<Body>>,
        receiver: Option<Receiver>,
    },
}

impl Call {
    pub(crate) fn new(connection: Connection, authority: Arc<str>, request: Request<Body>) -> Self {
        Self {
            state: State::Opening {
                connection,
                authority,
                request: Some(request),
                vacancy: Vacancy::default(),
            },
        }
    }
}

fn polled_again() -> Status {
    Status::internal("a call was polled after it had ended")
}

impl Future for Call {
    type Output = Result<Response<ReceiverBody>, Status>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let State::Opening {
            connection,
            authority,
            request,
            vacancy,
        } = &mut self.state
        {
            let stream = ready!(connection.poll_open(vacancy, cx))
                .map_err(|error| status_of(&error.into()))?;
            let (parts, body) = request.take().ok_or_else(polled_again)?.into_parts();
            let mut block = Block::new();
            let written = head::write_request(&mut block, &parts, authority);
            let mut sender = stream.sender;
            if let Err(error) = written {
                sender.reset(ResetCode::Cancelled);
                return Poll::Ready(Err(Status::internal(format!(
                    "metadata that cannot be sent: {error}"
                ))));
            }
            if block.len() > sender.block_limit() {
                let limit = sender.block_limit();
                sender.reset(ResetCode::Cancelled);
                return Poll::Ready(Err(Status::resource_exhausted(format!(
                    "metadata of {} bytes, where one header block holds {limit}",
                    block.len()
                ))));
            }
            let upload = Upload::new(sender, block, body, BodySide::Client);
            self.state = State::Waiting {
                upload: Some(upload),
                receiver: Some(stream.receiver),
            };
        }
        let State::Waiting { upload, receiver } = &mut self.state else {
            return Poll::Ready(Err(polled_again()));
        };
        if let Some(running) = upload {
            match running.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => *upload = None,
                Poll::Ready(Err(UploadError::Stream(_))) => {
                    // The receiving half tells why, and what came before.
                    *upload = None;
                }
                Poll::Ready(Err(error)) => {
                    running.sender().reset(ResetCode::Cancelled);
                    return Poll::Ready(Err(error.status()));
                }
            }
        }
        let waiting = receiver.as_mut().ok_or_else(polled_again)?;
        let block = match ready!(waiting.poll_head(cx)) {
            Ok(block) => block,
            Err(error) => return Poll::Ready(Err(status_of(&error))),
        };
        let response = match head::read_response(&block) {
            Ok(response) => response,
            Err(error) => {
                waiting.cut_off(error.into());
                return Poll::Ready(Err(broken_head(waiting, error)));
            }
        };
        if let Some(mut running) = upload.take() {
            // The answer has begun before the request has ended.
            tokio::spawn(async move {
                if let Err(error) = std::future::poll_fn(|cx| running.poll(cx)).await {
                    tracing::debug!("request stream: {}", error.status());
                    running.sender().reset(ResetCode::Cancelled);
                }
            });
        }
        let receiver = receiver.take().ok_or_else(polled_again)?;
        Poll::Ready(Ok(response.map(|()| ReceiverBody::new(receiver))))
    }
}
