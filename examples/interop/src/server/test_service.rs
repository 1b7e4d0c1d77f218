//! `grpc.testing.TestService`.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt;
use tonic::{Request, Response, Status, Streaming, metadata::MetadataValue};

use super::{
    echo::Echo,
    load::{self, LoadBoard},
    replies::{Replies, ReplyStream, payload, refuse_if_asked},
};
use crate::{
    cases::LOAD_TRAILER,
    proto::testing::{
        BoolValue, Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
        StreamingInputCallResponse, StreamingOutputCallRequest, test_service_server::TestService,
    },
    wire::Wire,
};

/// Requests that `HalfDuplexCall` keeps until the client has said all.
const MAX_KEPT_REQUESTS: usize = 10_000;

/// The handlers. Streams send their headers with the first response, as the servers of other
/// makers do, so a call that fails before it answers is refused without headers of its own.
#[derive(Debug)]
pub struct TestServer {
    server_id: String,
    max_payload_bytes: usize,
    board: LoadBoard,
}

impl TestServer {
    pub(super) fn new(server_id: String, max_payload_bytes: usize, board: LoadBoard) -> Self {
        Self {
            server_id,
            max_payload_bytes,
            board,
        }
    }

    async fn stream<S>(
        &self,
        requests: S,
        wire: Option<Wire>,
        echo: Echo,
    ) -> Result<Response<ReplyStream>, Status>
    where
        S: tokio_stream::Stream<Item = Result<StreamingOutputCallRequest, Status>>
            + Send
            + Unpin
            + 'static,
    {
        let mut replies = Replies::new(requests, wire, self.board.clone(), self.max_payload_bytes);
        let wishes = replies.wishes();
        let first = replies.next().await.map_err(|status| echo.status(status))?;
        let responses = replies.into_stream(first, echo.clone());
        Ok(echo.response(responses, Some(wishes)))
    }
}

/// Refuses a message that is compressed, or not, against what it says of itself.
fn insist(expected: Option<BoolValue>, compressed: bool) -> Result<(), Status> {
    match expected {
        Some(BoolValue { value }) if value != compressed => Err(Status::invalid_argument(format!(
            "expect_compressed is {value}, but the message's compressed flag is {compressed}"
        ))),
        _ => Ok(()),
    }
}

#[tonic::async_trait]
impl TestService for TestServer {
    type StreamingOutputCallStream = ReplyStream;
    type FullDuplexCallStream = ReplyStream;
    type HalfDuplexCallStream = ReplyStream;

    async fn empty_call(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        let mut echo = Echo::of(request.metadata());
        let wire = request.extensions().get::<Wire>().cloned();
        let request = request.into_inner();
        let compressed = wire.and_then(|wire| wire.take_compressed());
        insist(request.expect_compressed, compressed.unwrap_or(false))
            .and_then(|()| refuse_if_asked(request.response_status))
            .map_err(|status| echo.status(status))?;

        let payload = payload(
            request.response_type,
            request.response_size,
            self.max_payload_bytes,
        )
        .map_err(|status| echo.status(status))?;
        if let Some(report) = request.orca_per_query_report {
            echo.trailing_mut()
                .insert_bin(LOAD_TRAILER, load::trailer(report));
        }
        let response = SimpleResponse {
            payload: Some(payload),
            server_id: if request.fill_server_id {
                self.server_id.clone()
            } else {
                String::new()
            },
            ..SimpleResponse::default()
        };
        let mut response = echo.response(response, None);
        if !request.response_compressed.is_some_and(|wish| wish.value) {
            response.disable_compression();
        }
        Ok(response)
    }

    async fn cacheable_unary_call(
        &self,
        _request: Request<SimpleRequest>,
    ) -> Result<Response<SimpleResponse>, Status> {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|err| Status::internal(format!("the clock stands before 1970: {err}")))?;
        let mut response = Response::new(SimpleResponse {
            payload: Some(Payload {
                body: since_epoch.as_nanos().to_string().into(),
                ..Payload::default()
            }),
            ..SimpleResponse::default()
        });
        response.metadata_mut().insert(
            "cache-control",
            MetadataValue::from_static("max-age=60, public"),
        );
        response.disable_compression();
        Ok(response)
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<ReplyStream>, Status> {
        let echo = Echo::of(request.metadata());
        let requests = tokio_stream::once(Ok(request.into_inner()));
        self.stream(requests, None, echo).await
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let echo = Echo::of(request.metadata());
        let wire = request.extensions().get::<Wire>().cloned();
        let mut requests = request.into_inner();
        let mut bytes = 0_usize;
        while let Some(message) = requests
            .message()
            .await
            .map_err(|status| echo.status(status))?
        {
            let compressed = wire.as_ref().and_then(Wire::take_compressed);
            insist(message.expect_compressed, compressed.unwrap_or(false))
                .map_err(|status| echo.status(status))?;
            bytes += message.payload.map_or(0, |payload| payload.body.len());
        }
        let aggregated_payload_size = i32::try_from(bytes).map_err(|_| {
            echo.status(Status::out_of_range(format!(
                "{bytes} bytes came; the response cannot count beyond 2 GiB"
            )))
        })?;
        let mut response = echo.response(
            StreamingInputCallResponse {
                aggregated_payload_size,
            },
            None,
        );
        response.disable_compression();
        Ok(response)
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<ReplyStream>, Status> {
        let echo = Echo::of(request.metadata());
        let wire = request.extensions().get::<Wire>().cloned();
        self.stream(request.into_inner(), wire, echo).await
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<ReplyStream>, Status> {
        let echo = Echo::of(request.metadata());
        let wire = request.extensions().get::<Wire>().cloned();
        let mut requests = request.into_inner();
        let mut kept = Vec::new();
        while let Some(request) = requests.next().await {
            if kept.len() == MAX_KEPT_REQUESTS {
                return Err(Status::resource_exhausted(format!(
                    "HalfDuplexCall keeps {MAX_KEPT_REQUESTS} requests, and no more"
                )));
            }
            kept.push(request.map(|request| StreamingOutputCallRequest {
                payload: None,
                ..request
            }));
            if let Some(wire) = &wire {
                wire.take_compressed();
            }
        }
        self.stream(tokio_stream::iter(kept), None, echo).await
    }

    async fn unimplemented_call(
        &self,
        _request: Request<Empty>,
    ) -> Result<Response<Empty>, Status> {
        Err(Status::unimplemented(
            "UnimplementedCall is never implemented",
        ))
    }
}
