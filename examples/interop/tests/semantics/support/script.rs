//! A `TestService` whose handlers a test writes in place.

use std::{future::Future, pin::Pin, sync::Arc};

use nowire_interop::proto::testing::{
    Empty, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
    test_service_server::{TestService, TestServiceServer},
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

type Answer<T> = Result<Response<T>, Status>;
type Handler<Q, A> = Option<
    Arc<dyn Fn(Request<Q>) -> Pin<Box<dyn Future<Output = Answer<A>> + Send>> + Send + Sync>,
>;
pub(crate) type Down =
    Pin<Box<dyn Stream<Item = Result<StreamingOutputCallResponse, Status>> + Send>>;

/// A service that answers UNIMPLEMENTED but for what a test gives it. `EmptyCall` always works:
/// it is the small call that others must not hinder.
#[derive(Clone, Default)]
pub(crate) struct Script {
    unary: Handler<SimpleRequest, SimpleResponse>,
    down: Handler<StreamingOutputCallRequest, Down>,
    up: Handler<Streaming<StreamingInputCallRequest>, StreamingInputCallResponse>,
    both: Handler<Streaming<StreamingOutputCallRequest>, Down>,
}

macro_rules! handler {
    ($name:ident, $call:literal, $question:ty, $answer:ty) => {
        #[doc = concat!("Answers `", $call, "`.")]
        pub(crate) fn $name<F, Fut>(mut self, handler: F) -> Self
        where
            F: Fn(Request<$question>) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Answer<$answer>> + Send + 'static,
        {
            self.$name = Some(Arc::new(move |request| Box::pin(handler(request))));
            self
        }
    };
}

impl Script {
    handler!(unary, "UnaryCall", SimpleRequest, SimpleResponse);
    handler!(
        down,
        "StreamingOutputCall",
        StreamingOutputCallRequest,
        Down
    );
    handler!(
        up,
        "StreamingInputCall",
        Streaming<StreamingInputCallRequest>,
        StreamingInputCallResponse
    );
    handler!(
        both,
        "FullDuplexCall",
        Streaming<StreamingOutputCallRequest>,
        Down
    );

    pub(crate) fn service(self) -> TestServiceServer<Self> {
        TestServiceServer::new(self)
    }
}

async fn answer<Q, A>(handler: &Handler<Q, A>, request: Request<Q>) -> Answer<A> {
    match handler {
        Some(handler) => handler(request).await,
        None => Err(Status::unimplemented("the test wrote no handler for this")),
    }
}

#[tonic::async_trait]
impl TestService for Script {
    type StreamingOutputCallStream = Down;
    type FullDuplexCallStream = Down;
    type HalfDuplexCallStream = Down;

    async fn empty_call(&self, _request: Request<Empty>) -> Answer<Empty> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Answer<SimpleResponse> {
        answer(&self.unary, request).await
    }

    async fn cacheable_unary_call(
        &self,
        request: Request<SimpleRequest>,
    ) -> Answer<SimpleResponse> {
        answer(&None, request).await
    }

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Answer<Down> {
        answer(&self.down, request).await
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Answer<StreamingInputCallResponse> {
        answer(&self.up, request).await
    }

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Answer<Down> {
        answer(&self.both, request).await
    }

    async fn half_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Answer<Down> {
        answer(&None, request).await
    }

    async fn unimplemented_call(&self, request: Request<Empty>) -> Answer<Empty> {
        answer(&None, request).await
    }
}

/// What became of a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started,
    Dropped,
}

/// Tells the test when handlers start and when they, or the streams they gave, are dropped.
#[derive(Clone)]
pub(crate) struct Reporter(mpsc::UnboundedSender<Event>);

/// To be held by what is watched.
pub(crate) struct Guard(Reporter);

impl Reporter {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) fn start(&self) -> Guard {
        self.tell(Event::Started);
        Guard(self.clone())
    }

    fn tell(&self, event: Event) {
        // A test that has seen enough no longer listens.
        let _ = self.0.send(event);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.tell(Event::Dropped);
    }
}
