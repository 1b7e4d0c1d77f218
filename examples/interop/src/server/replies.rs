//! The responses that a stream of requests asks for.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::{sync::OwnedMutexGuard, time};
use tokio_stream::Stream;
use tonic::{Code, Status};

use super::{echo::Echo, load::LoadBoard};
use crate::{
    compression::Wishes,
    proto::testing::{
        EchoStatus, Payload, PayloadType, ResponseParameters, StreamingOutputCallRequest,
        StreamingOutputCallResponse,
    },
    wire::Wire,
};

/// A stream of responses, as tonic takes it.
pub(super) type ReplyStream = BoxStream<'static, Result<StreamingOutputCallResponse, Status>>;

/// Reads requests and makes the responses they ask for, one at a time: nothing is made before
/// somebody asks for it.
pub(super) struct Replies<S> {
    requests: S,
    wire: Option<Wire>,
    board: LoadBoard,
    turn: Option<OwnedMutexGuard<()>>,
    max_payload_bytes: usize,
    response_type: i32,
    owed: VecDeque<ResponseParameters>,
    wishes: Wishes,
}

impl<S> Replies<S>
where
    S: Stream<Item = Result<StreamingOutputCallRequest, Status>> + Send + Unpin + 'static,
{
    pub(super) fn new(
        requests: S,
        wire: Option<Wire>,
        board: LoadBoard,
        max_payload_bytes: usize,
    ) -> Self {
        Self {
            requests,
            wire,
            board,
            turn: None,
            max_payload_bytes,
            response_type: PayloadType::Compressable.into(),
            owed: VecDeque::new(),
            wishes: Wishes::default(),
        }
    }

    /// What was asked for about the compression of each response.
    pub(super) fn wishes(&self) -> Wishes {
        self.wishes.clone()
    }

    /// The next response, or nothing once the client has said all and has all.
    pub(super) async fn next(&mut self) -> Result<Option<StreamingOutputCallResponse>, Status> {
        loop {
            if let Some(parameters) = self.owed.pop_front() {
                return self.reply(parameters).await.map(Some);
            }
            let Some(request) = self.requests.next().await.transpose()? else {
                return Ok(None);
            };
            if let Some(wire) = &self.wire {
                wire.take_compressed();
            }
            self.take(request).await?;
        }
    }

    /// The responses from here on, with `first` before them.
    pub(super) fn into_stream(
        self,
        first: Option<StreamingOutputCallResponse>,
        echo: Echo,
    ) -> ReplyStream {
        let Some(first) = first else {
            return stream::empty().boxed();
        };
        let rest = stream::try_unfold(self, move |mut replies| {
            let echo = echo.clone();
            async move {
                let next = replies.next().await.map_err(|status| echo.status(status))?;
                Ok(next.map(|response| (response, replies)))
            }
        });
        stream::once(async { Ok(first) }).chain(rest).boxed()
    }

    async fn take(&mut self, request: StreamingOutputCallRequest) -> Result<(), Status> {
        refuse_if_asked(request.response_status)?;
        if let Some(report) = request.orca_oob_report {
            let turn = match self.turn.take() {
                Some(turn) => turn,
                None => self.board.turn().await,
            };
            self.board.publish(&turn, report);
            self.turn = Some(turn);
        }
        self.response_type = request.response_type;
        self.owed = request.response_parameters.into();
        Ok(())
    }

    async fn reply(
        &mut self,
        parameters: ResponseParameters,
    ) -> Result<StreamingOutputCallResponse, Status> {
        let body = payload(self.response_type, parameters.size, self.max_payload_bytes)?;
        let pause = u64::try_from(parameters.interval_us)
            .map_err(|_| Status::invalid_argument("interval_us is negative"))?;
        if pause > 0 {
            time::sleep(Duration::from_micros(pause)).await;
        }
        self.wishes
            .push(parameters.compressed.is_some_and(|wish| wish.value));
        Ok(StreamingOutputCallResponse {
            payload: Some(body),
        })
    }
}

/// Ends the call with the status that the client asked for.
pub(super) fn refuse_if_asked(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(status) if status.code != 0 => {
            Err(Status::new(Code::from(status.code), status.message))
        }
        _ => Ok(()),
    }
}

/// Zeros, as many as asked for.
pub(super) fn payload(kind: i32, size: i32, max_bytes: usize) -> Result<Payload, Status> {
    if PayloadType::try_from(kind) != Ok(PayloadType::Compressable) {
        return Err(Status::invalid_argument(format!(
            "payload type {kind} is not known; only COMPRESSABLE (0) is"
        )));
    }
    let bytes = usize::try_from(size)
        .ok()
        .filter(|bytes| *bytes <= max_bytes)
        .ok_or_else(|| {
            Status::invalid_argument(format!(
                "a payload of {size} bytes was asked for; 0 to {max_bytes} can be had"
            ))
        })?;
    Ok(Payload {
        r#type: kind,
        body: Bytes::from(vec![0; bytes]),
    })
}
