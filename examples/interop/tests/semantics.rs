//! What gRPC promises a user, written once and run on each carrier.
#![forbid(unsafe_code)]

#[path = "semantics/carrier.rs"]
mod carrier;
#[path = "semantics/script.rs"]
mod script;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
        mpsc as blocking,
    },
    time::Duration,
};

use bytes::Bytes;
use carrier::{On, PATIENCE, serve, soon};
use futures_util::{FutureExt, StreamExt, stream};
use nowire_grpc::Server;
use nowire_interop::proto::testing::{
    Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingInputCallResponse, StreamingOutputCallRequest, StreamingOutputCallResponse,
    test_service_client::TestServiceClient,
    unimplemented_service_client::UnimplementedServiceClient,
};
use script::{Down, Event, Guard, Reporter, Script};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response, Status,
    codec::CompressionEncoding::Gzip,
    metadata::{AsciiMetadataValue, BinaryMetadataValue, MetadataMap},
    service::Interceptor,
};

macro_rules! on_each_carrier {
    ($($test:ident)*) => {
        mod http2 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::On::Http2).await;
                }
            )*
        }

        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(super::On::Memory).await;
                }
            )*
        }
    };
}

on_each_carrier! {
    messages_of_64_mebibytes_pass_both_ways
    empty_messages_arrive_each_by_itself
    metadata_arrives_whole_and_in_order_both_ways
    metadata_of_many_kibibytes_passes_both_ways
    a_failed_call_carries_message_details_and_metadata
    a_stream_that_fails_after_messages_delivers_them_first
    an_expired_deadline_ends_the_call_and_the_handler
    the_server_enforces_the_deadline_by_itself
    the_deadline_covers_the_whole_stream
    a_dropped_call_cancels_its_handler
    a_dropped_stream_cancels_its_handler
    a_dropped_conversation_cancels_its_handler
    a_reader_that_pauses_stops_the_server_and_nobody_else
    a_server_that_pauses_stops_the_client_and_nobody_else
    a_large_message_that_nobody_takes_hinders_no_small_call
    small_calls_pass_a_large_message
    gzip_is_used_both_ways_when_both_sides_offer_it
    unknown_services_and_methods_are_unimplemented
    a_request_above_the_limit_is_refused_and_the_channel_lives
    a_response_above_the_limit_is_refused_and_the_channel_lives
    interceptors_run_on_both_sides
    tower_layers_run_on_both_sides
    health_and_reflection_answer
    the_concurrency_limit_lets_one_call_wait
    a_server_that_sheds_load_refuses_what_is_too_much
    a_graceful_shutdown_finishes_calls_in_flight
    the_servers_own_timeout_ends_a_handler
    many_tasks_share_one_channel
    a_hundred_conversations_go_on_at_once
    a_server_that_refuses_before_it_has_read_is_heard
    a_server_may_end_a_conversation_first
}

const LARGE: usize = 64 << 20;

fn payload(body: impl Into<Bytes>) -> Option<Payload> {
    Some(Payload {
        body: body.into(),
        ..Payload::default()
    })
}

fn request(body: impl Into<Bytes>) -> SimpleRequest {
    SimpleRequest {
        payload: payload(body),
        ..SimpleRequest::default()
    }
}

fn body(payload: Option<Payload>) -> Bytes {
    payload.unwrap_or_default().body
}

fn down(body: impl Into<Bytes>) -> StreamingOutputCallResponse {
    StreamingOutputCallResponse {
        payload: payload(body),
    }
}

fn up(body: impl Into<Bytes>) -> StreamingInputCallRequest {
    StreamingInputCallRequest {
        payload: payload(body),
        ..StreamingInputCallRequest::default()
    }
}

fn summed(bytes: usize) -> Response<StreamingInputCallResponse> {
    Response::new(StreamingInputCallResponse {
        aggregated_payload_size: bytes.try_into().expect("tests stay below 2 GiB"),
    })
}

/// Bytes without a period that a piece boundary could hide in.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// A service that gives each request's payload back.
fn echo() -> Script {
    Script::default().unary(|request| async move {
        Ok(Response::new(SimpleResponse {
            payload: request.into_inner().payload,
            ..SimpleResponse::default()
        }))
    })
}

/// Waits until a count no longer grows: it is the same over ten looks.
async fn settled(count: &AtomicUsize) -> usize {
    let settle = async {
        let mut last = count.load(SeqCst);
        let mut same = 0;
        while same < 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = count.load(SeqCst);
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    };
    soon("an end of the growth", settle).await
}

async fn messages_of_64_mebibytes_pass_both_ways(on: On) {
    let service = echo().service().max_decoding_message_size(LARGE + 1024);
    let server = serve!(on, server => server.add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LARGE + 1024);
    let sent = Bytes::from(noise(LARGE));
    let call = client.unary_call(request(sent.clone()));
    let response = soon("the large response", call).await.unwrap();
    let got = body(response.into_inner().payload);
    assert_eq!(got.len(), sent.len());
    assert!(got == sent, "the bytes changed on the way");
}

async fn empty_messages_arrive_each_by_itself(on: On) {
    let script = Script::default()
        .up(|request| async move {
            let mut messages = request.into_inner();
            let mut count = 0;
            while let Some(message) = messages.message().await? {
                assert_eq!(message, StreamingInputCallRequest::default());
                count += 1;
            }
            Ok(summed(count))
        })
        .down(|_| async {
            let empty = || Ok(StreamingOutputCallResponse::default());
            let messages = stream::iter((0..1000).map(move |_| empty()));
            Ok(Response::new(Box::pin(messages) as Down))
        });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);

    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
    let messages = stream::iter((0..1000).map(|_| StreamingInputCallRequest::default()));
    let response = soon("the count", client.streaming_input_call(messages)).await;
    assert_eq!(response.unwrap().into_inner().aggregated_payload_size, 1000);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let responses = soon("the stream", call).await.unwrap().into_inner();
    let all = responses.map(Result::unwrap).collect::<Vec<_>>();
    let all = soon("the stream's end", all).await;
    assert_eq!(all, vec![StreamingOutputCallResponse::default(); 1000]);
}

/// Two keys, each twice, one of them binary with every byte there is.
fn rich_metadata() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let all_bytes: Vec<u8> = (0..=255).collect();
    metadata.append(
        "x-text",
        AsciiMetadataValue::from_static("first, with comma"),
    );
    metadata.append("x-text", AsciiMetadataValue::from_static("second"));
    metadata.append_bin("x-bytes-bin", BinaryMetadataValue::from_bytes(&all_bytes));
    metadata.append_bin("x-bytes-bin", BinaryMetadataValue::from_bytes(b""));
    metadata
}

fn assert_rich(metadata: &MetadataMap) {
    let text: Vec<_> = metadata.get_all("x-text").iter().collect();
    assert_eq!(text, ["first, with comma", "second"]);
    let bytes: Vec<_> = metadata
        .get_all_bin("x-bytes-bin")
        .iter()
        .map(|value| value.to_bytes().expect("it is base64"))
        .collect();
    assert_eq!(bytes, [Bytes::from_iter(0..=255), Bytes::new()]);
}

async fn metadata_arrives_whole_and_in_order_both_ways(on: On) {
    let script = Script::default().unary(|request| async move {
        assert_rich(request.metadata());
        let mut response = Response::new(SimpleResponse::default());
        *response.metadata_mut() = rich_metadata();
        Ok(response)
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut request = Request::new(SimpleRequest::default());
    *request.metadata_mut() = rich_metadata();
    let response = soon("the response", client.unary_call(request)).await;
    assert_rich(response.unwrap().metadata());
}

async fn metadata_of_many_kibibytes_passes_both_ways(on: On) {
    let script = Script::default().unary(|request| async move {
        let mut response = Response::new(SimpleResponse::default());
        *response.metadata_mut() = request.into_parts().0;
        Ok(response)
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut request = Request::new(SimpleRequest::default());
    // HTTP/2 as tonic sets it takes 16 KiB.
    for index in 0..8_u8 {
        let value = BinaryMetadataValue::from_bytes(&[index; 1000]);
        request.metadata_mut().append_bin("x-large-bin", value);
    }
    let response = soon("the response", client.unary_call(request))
        .await
        .unwrap();
    let values = response.metadata().get_all_bin("x-large-bin");
    let values: Vec<_> = values
        .iter()
        .map(|value| value.to_bytes().unwrap())
        .collect();
    let expected: Vec<_> = (0..8_u8)
        .map(|index| Bytes::from(vec![index; 1000]))
        .collect();
    assert!(values == expected, "the metadata changed on the way");
}

const SPECIAL: &str = "100 % of «ünïcödé» 😈\r\n\tand %41 stays as it is";

fn rich_status() -> Status {
    Status::with_details_and_metadata(
        Code::FailedPrecondition,
        SPECIAL,
        Bytes::from_iter(0..=255),
        rich_metadata(),
    )
}

fn assert_rich_status(status: &Status) {
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.message(), SPECIAL);
    assert_eq!(status.details(), Bytes::from_iter(0..=255));
    assert_rich(status.metadata());
}

async fn a_failed_call_carries_message_details_and_metadata(on: On) {
    let script = Script::default().unary(|_| async { Err(rich_status()) });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let result = soon("the status", client.unary_call(SimpleRequest::default())).await;
    assert_rich_status(&result.unwrap_err());
}

async fn a_stream_that_fails_after_messages_delivers_them_first(on: On) {
    let script = Script::default().down(|_| async {
        let messages = (0..100_u8).map(|index| Ok(down(vec![index])));
        let messages = stream::iter(messages.chain([Err(rich_status())]));
        Ok(Response::new(Box::pin(messages) as Down))
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    for index in 0..100_u8 {
        let message = soon("a message", responses.message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(body(message.payload), [index][..]);
    }
    let status = soon("the status", responses.message()).await.unwrap_err();
    assert_rich_status(&status);
}

/// A service whose unary call never answers and tells what becomes of it.
fn sleeper() -> (Script, mpsc::UnboundedReceiver<Event>) {
    let (reporter, events) = Reporter::new();
    let script = Script::default().unary(move |_| {
        let guard = reporter.start();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    (script, events)
}

async fn expect_event(events: &mut mpsc::UnboundedReceiver<Event>, expected: Event) {
    let event = soon("an event of the handler", events.recv()).await;
    assert_eq!(event, Some(expected));
}

async fn an_expired_deadline_ends_the_call_and_the_handler(on: On) {
    let (script, mut events) = sleeper();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    // Long enough to reach the handler on a busy machine.
    let mut request = Request::new(SimpleRequest::default());
    request.set_timeout(Duration::from_secs(1));
    let result = soon("the deadline", client.unary_call(request)).await;
    assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
    expect_event(&mut events, Event::Started).await;
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}

/// The client's threads stand still when the deadline passes, so only the server can notice.
async fn the_server_enforces_the_deadline_by_itself(on: On) {
    let (script, mut events) = sleeper();
    let server = Arc::new(serve!(on, server => server.add_service(script.service())));
    let (started, wait_for_start) = blocking::channel::<()>();
    let (done, wait_for_done) = blocking::channel::<()>();
    let client_server = server.clone();
    let client = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(async move {
            let mut client = TestServiceClient::new(client_server.channel().await);
            let mut request = Request::new(SimpleRequest::default());
            request.set_timeout(Duration::from_secs(2));
            let call = client.unary_call(request);
            tokio::pin!(call);
            // The call goes out while this thread still runs, and not a step further.
            loop {
                let polled = tokio::time::timeout(Duration::from_millis(10), &mut call).await;
                assert!(polled.is_err(), "the handler does not answer");
                if wait_for_start.try_recv().is_ok() {
                    break;
                }
            }
            wait_for_done
                .recv_timeout(PATIENCE)
                .expect("the server drops the handler");
        });
    });
    expect_event(&mut events, Event::Started).await;
    started.send(()).expect("the client waits");
    expect_event(&mut events, Event::Dropped).await;
    done.send(()).expect("the client waits");
    let joined = tokio::task::spawn_blocking(move || client.join()).await;
    assert!(joined.unwrap().is_ok(), "the client's thread panicked");
}

/// The response's headers have come, but the time is up before the next message.
async fn the_deadline_covers_the_whole_stream(on: On) {
    let (script, mut events) = murmur();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut request = Request::new(StreamingOutputCallRequest::default());
    request.set_timeout(Duration::from_secs(1));
    let call = client.streaming_output_call(request);
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("the first", responses.message())
        .await
        .unwrap()
        .unwrap();
    let status = soon("the deadline", responses.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    expect_event(&mut events, Event::Started).await;
    expect_event(&mut events, Event::Dropped).await;
}

async fn a_dropped_call_cancels_its_handler(on: On) {
    let (script, mut events) = sleeper();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut other = client.clone();
    let call = tokio::spawn(async move { client.unary_call(SimpleRequest::default()).await });
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    call.abort();
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", other.empty_call(Empty {})).await.unwrap();
}

/// A service whose streams say one thing, then nothing, and tell what becomes of them.
fn murmur() -> (Script, mpsc::UnboundedReceiver<Event>) {
    let (reporter, events) = Reporter::new();
    let other = reporter.clone();
    let say = |guard: Guard| {
        let first = stream::once(async { Ok(down("first")) });
        let rest = stream::pending().map(move |never: Status| {
            let _held = &guard;
            Err(never)
        });
        Response::new(Box::pin(first.chain(rest)) as Down)
    };
    let script = Script::default()
        .down(move |_| {
            let guard = reporter.start();
            async move { Ok(say(guard)) }
        })
        .both(move |_| {
            let guard = other.start();
            async move { Ok(say(guard)) }
        });
    (script, events)
}

async fn a_dropped_stream_cancels_its_handler(on: On) {
    let (script, mut events) = murmur();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("a message", responses.message())
        .await
        .unwrap()
        .unwrap();
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    drop(responses);
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}

/// As long as its own half is open, HTTP/2 keeps a stream that only the other half was dropped
/// of; so both are dropped.
async fn a_dropped_conversation_cancels_its_handler(on: On) {
    let (script, mut events) = murmur();
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let (sender, receiver) = mpsc::channel(4);
    let call = client.full_duplex_call(ReceiverStream::new(receiver));
    sender
        .send(StreamingOutputCallRequest::default())
        .await
        .unwrap();
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("a message", responses.message())
        .await
        .unwrap()
        .unwrap();
    expect_event(&mut events, Event::Started).await;
    assert!(
        events.recv().now_or_never().is_none(),
        "nobody cancelled yet"
    );
    drop((responses, sender));
    expect_event(&mut events, Event::Dropped).await;
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}

/// By default one stream that nobody reads may fill the whole HTTP/2 connection's window, and
/// stop all others. A user who wants them to go on gives the connection more than a stream.
fn wide(server: Server) -> Server {
    server.http2_options(|http2| http2.initial_connection_window_size(4 << 20))
}

/// One piece of a long stream.
const PIECE: usize = 16 << 10;
/// More pieces than any buffer on the way holds: 1 GiB.
const PIECES: usize = 1 << 16;
/// What may lie in buffers when the reader stops; tonic over TCP on loopback needs up to some
/// 10 MiB for the kernel's.
const BUFFERED: usize = (32 << 20) / PIECE;

async fn a_reader_that_pauses_stops_the_server_and_nobody_else(on: On) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let script = echo().down(move |_| {
        let count = count.clone();
        async move {
            let pieces = stream::iter(0..PIECES).map(move |_| {
                count.fetch_add(1, SeqCst);
                Ok(down(vec![0; PIECE]))
            });
            Ok(Response::new(Box::pin(pieces) as Down))
        }
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("a message", responses.message())
        .await
        .unwrap()
        .unwrap();

    let before = settled(&made).await;
    assert!(
        before < BUFFERED,
        "{before} pieces were made and one was read"
    );
    for _ in 0..10 {
        let call = client.unary_call(request(noise(1 << 10)));
        soon("another call", call).await.unwrap();
    }
    for _ in 0..BUFFERED {
        soon("a message", responses.message())
            .await
            .unwrap()
            .unwrap();
    }
    assert!(
        made.load(SeqCst) > before,
        "the writer goes on when the reader does"
    );
}

async fn a_server_that_pauses_stops_the_client_and_nobody_else(on: On) {
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let script = echo().up(move |request| {
        let gate = gate.clone();
        async move {
            let mut messages = request.into_inner();
            gate.notified().await;
            let mut bytes = 0;
            while let Some(message) = messages.message().await? {
                bytes += body(message.payload).len();
            }
            Ok(summed(bytes))
        }
    });
    let server = serve!(on, server => wide(server).add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let pieces = stream::iter(0..2 * BUFFERED).map(move |_| {
        count.fetch_add(1, SeqCst);
        up(vec![0; PIECE])
    });
    let mut other = client.clone();
    let call = tokio::spawn(async move { client.streaming_input_call(pieces).await });

    let before = settled(&made).await;
    assert!(before > 0, "the stream has begun");
    assert!(
        before < BUFFERED,
        "{before} pieces were made and none was read"
    );
    for _ in 0..10 {
        let call = other.unary_call(request(noise(1 << 10)));
        soon("another call", call).await.unwrap();
    }
    go_on.notify_one();
    let response = soon("the sum", call).await.unwrap().unwrap();
    let bytes = response.into_inner().aggregated_payload_size;
    assert_eq!(usize::try_from(bytes).unwrap(), 2 * BUFFERED * PIECE);
}

async fn a_large_message_that_nobody_takes_hinders_no_small_call(on: On) {
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let script = echo()
        .up(move |request| {
            let gate = gate.clone();
            async move {
                let mut messages = request.into_inner();
                gate.notified().await;
                let message = messages.message().await?.unwrap_or_default();
                Ok(summed(body(message.payload).len()))
            }
        })
        .down(|_| async {
            let large = stream::once(async { Ok(down(noise(LARGE))) });
            Ok(Response::new(Box::pin(large) as Down))
        });
    let service = script.service().max_decoding_message_size(LARGE + 1024);
    let server = serve!(on, server => wide(server).add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LARGE + 1024);

    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    let mut sending = client.clone();
    let sent = tokio::spawn(async move {
        let large = stream::iter([up(noise(LARGE))]);
        sending.streaming_input_call(large).await
    });
    for _ in 0..100 {
        let call = client.unary_call(request(noise(1 << 10)));
        soon("a small call", call).await.unwrap();
    }
    assert!(!sent.is_finished(), "the large request still waits");
    go_on.notify_one();
    let sum = soon("the sum", sent).await.unwrap().unwrap();
    let bytes = sum.into_inner().aggregated_payload_size;
    assert_eq!(usize::try_from(bytes).unwrap(), LARGE);
    let large = soon("the large response", responses.message()).await;
    assert!(body(large.unwrap().unwrap().payload) == noise(LARGE));
}

async fn small_calls_pass_a_large_message(on: On) {
    let service = echo().service().max_decoding_message_size(LARGE + 1024);
    let server = serve!(on, server => server.add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LARGE + 1024);
    let mut large = client.clone();
    let large = tokio::spawn(async move { large.unary_call(request(noise(LARGE))).await });
    let mut passed = 0;
    while !large.is_finished() {
        let call = client.unary_call(request(noise(1 << 10)));
        soon("a small call", call).await.unwrap();
        passed += usize::from(!large.is_finished());
    }
    let response = soon("the large response", large).await.unwrap().unwrap();
    assert_eq!(body(response.into_inner().payload).len(), LARGE);
    assert!(
        passed >= 3,
        "{passed} small calls ended while the large one was under way"
    );
}

async fn gzip_is_used_both_ways_when_both_sides_offer_it(on: On) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = seen.clone();
    let script = Script::default().unary(move |request| {
        if request
            .metadata()
            .get("grpc-encoding")
            .is_some_and(|value| value == "gzip")
        {
            count.fetch_add(1, SeqCst);
        }
        async move {
            Ok(Response::new(SimpleResponse {
                payload: request.into_inner().payload,
                ..SimpleResponse::default()
            }))
        }
    });
    let service = script
        .service()
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let server = serve!(on, server => server.add_service(service));
    let plain = TestServiceClient::new(server.channel().await);
    let mut gzip = plain.clone().accept_compressed(Gzip).send_compressed(Gzip);
    let mut plain = plain;
    let sent = Bytes::from(vec![7; 1 << 20]);

    let response = soon("a response", gzip.unary_call(request(sent.clone())))
        .await
        .unwrap();
    let encoding = response.metadata().get("grpc-encoding");
    assert_eq!(encoding.map(|value| value.as_bytes()), Some(&b"gzip"[..]));
    assert_eq!(seen.load(SeqCst), 1);
    assert!(body(response.into_inner().payload) == sent);

    let response = soon("a response", plain.unary_call(request(sent.clone())))
        .await
        .unwrap();
    assert_eq!(response.metadata().get("grpc-encoding"), None);
    assert_eq!(seen.load(SeqCst), 1);
    assert!(body(response.into_inner().payload) == sent);
}

async fn unknown_services_and_methods_are_unimplemented(on: On) {
    let server = serve!(on, server => server.add_service(echo().service()));
    let channel = server.channel().await;
    let mut nobody = UnimplementedServiceClient::new(channel.clone());
    let result = soon("an answer", nobody.unimplemented_call(Empty {})).await;
    assert_eq!(result.unwrap_err().code(), Code::Unimplemented);

    let mut raw = tonic::client::Grpc::new(channel);
    raw.ready().await.expect("the channel is open");
    let path = http::uri::PathAndQuery::from_static("/grpc.testing.TestService/NoSuchCall");
    let codec = tonic_prost::ProstCodec::<Empty, Empty>::default();
    let result = soon("an answer", raw.unary(Request::new(Empty {}), path, codec)).await;
    assert_eq!(result.unwrap_err().code(), Code::Unimplemented);
}

fn assert_too_large(status: &Status, limit: usize) {
    assert_eq!(status.code(), Code::OutOfRange);
    let message = status.message();
    assert!(message.contains("message length too large"), "{message}");
    assert!(
        message.contains(&format!("the limit is: {limit} bytes")),
        "{message}"
    );
}

async fn a_request_above_the_limit_is_refused_and_the_channel_lives(on: On) {
    const LIMIT: usize = 1 << 20;
    let service = echo().service().max_decoding_message_size(LIMIT);
    let server = serve!(on, server => server.add_service(service));
    let mut client = TestServiceClient::new(server.channel().await);
    for bytes in [LIMIT + 1, 16 * LIMIT] {
        let result = soon("a refusal", client.unary_call(request(vec![1; bytes]))).await;
        assert_too_large(&result.unwrap_err(), LIMIT);
    }
    let call = client.unary_call(request(vec![1; LIMIT / 2]));
    soon("a call within the limit", call).await.unwrap();
}

async fn a_response_above_the_limit_is_refused_and_the_channel_lives(on: On) {
    const LIMIT: usize = 1 << 20;
    let service = echo().service().max_decoding_message_size(64 * LIMIT);
    let server = serve!(on, server => server.add_service(service));
    let mut client =
        TestServiceClient::new(server.channel().await).max_decoding_message_size(LIMIT);
    for bytes in [LIMIT + 1, 16 * LIMIT] {
        let result = soon("a refusal", client.unary_call(request(vec![1; bytes]))).await;
        assert_too_large(&result.unwrap_err(), LIMIT);
    }
    let call = client.unary_call(request(vec![1; LIMIT / 2]));
    soon("a call within the limit", call).await.unwrap();
}

/// Puts a token into each request, or asks for it.
#[derive(Clone)]
enum Token {
    Give,
    Demand,
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        match self {
            Self::Give => {
                let token = AsciiMetadataValue::from_static("open");
                request.metadata_mut().insert("x-token", token);
                Ok(request)
            }
            Self::Demand if request.metadata().contains_key("x-token") => Ok(request),
            Self::Demand => Err(Status::unauthenticated("no token")),
        }
    }
}

async fn interceptors_run_on_both_sides(on: On) {
    let service =
        tonic::service::interceptor::InterceptedService::new(echo().service(), Token::Demand);
    let server = serve!(on, server => server.add_service(service));
    let channel = server.channel().await;
    let mut without = TestServiceClient::new(channel.clone());
    let result = soon("a refusal", without.empty_call(Empty {})).await;
    let status = result.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "no token")
    );
    let mut with = TestServiceClient::with_interceptor(channel, Token::Give);
    soon("an answer", with.empty_call(Empty {})).await.unwrap();
}

async fn tower_layers_run_on_both_sides(on: On) {
    let served = Arc::new(AtomicU64::new(0));
    let count = served.clone();
    let layer = tower::util::MapRequestLayer::new(move |request: http::Request<_>| {
        count.fetch_add(request.headers().get("x-layer").map_or(0, |_| 1), SeqCst);
        request
    });
    let server = serve!(on, server => server.layer(layer).add_service(echo().service()));
    let channel = tower::ServiceBuilder::new()
        .map_request(|mut request: http::Request<tonic::body::Body>| {
            let value = http::HeaderValue::from_static("client");
            request.headers_mut().insert("x-layer", value);
            request
        })
        .service(server.channel().await);
    let mut client = TestServiceClient::new(channel);
    soon("an answer", client.empty_call(Empty {}))
        .await
        .unwrap();
    assert_eq!(served.load(SeqCst), 1, "calls that both layers saw");
}

async fn health_and_reflection_answer(on: On) {
    use tonic_health::{
        pb::{HealthCheckRequest, health_check_response, health_client::HealthClient},
        server::health_reporter,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let (reporter, health) = health_reporter();
    reporter
        .set_serving::<tonic_health::pb::health_server::HealthServer<
            tonic_health::server::HealthService,
        >>()
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(nowire_interop::proto::DESCRIPTORS)
        .build_v1()
        .expect("the descriptors are valid");
    let server = serve!(on, server => server
        .add_service(health)
        .add_service(reflection)
        .add_service(echo().service()));
    let channel = server.channel().await;

    let mut health = HealthClient::new(channel.clone());
    let request = HealthCheckRequest {
        service: "grpc.health.v1.Health".into(),
    };
    let response = soon("health", health.check(request)).await.unwrap();
    assert_eq!(
        response.into_inner().status(),
        health_check_response::ServingStatus::Serving
    );

    let mut reflection = ServerReflectionClient::new(channel);
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let call = reflection.server_reflection_info(stream::iter([question]));
    let mut answers = soon("reflection", call).await.unwrap().into_inner();
    let answer = soon("the list", answers.message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("no list of services: {answer:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| &*service.name).collect();
    assert!(names.contains(&"grpc.testing.TestService"), "{names:?}");
}

/// A service whose unary call waits for a permit and tells what becomes of it.
fn gated() -> (Script, mpsc::UnboundedReceiver<Event>, Arc<Semaphore>) {
    let (reporter, events) = Reporter::new();
    let permits = Arc::new(Semaphore::new(0));
    let gate = permits.clone();
    let script = Script::default().unary(move |request| {
        let (guard, gate) = (reporter.start(), gate.clone());
        async move {
            let _guard = guard;
            gate.acquire().await.expect("the gate stays").forget();
            Ok(Response::new(SimpleResponse {
                payload: request.into_inner().payload,
                ..SimpleResponse::default()
            }))
        }
    });
    (script, events, permits)
}

async fn the_concurrency_limit_lets_one_call_wait(on: On) {
    let (script, mut events, permits) = gated();
    let server = serve!(on, server => server
        .concurrency_limit_per_connection(1)
        .add_service(script.service()));
    let client = TestServiceClient::new(server.channel().await);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.unary_call(request("x")).await })
        })
        .collect();
    for _ in 0..3 {
        // Never a second start before the first has ended.
        expect_event(&mut events, Event::Started).await;
        assert!(events.recv().now_or_never().is_none(), "one call runs");
        permits.add_permits(1);
        expect_event(&mut events, Event::Dropped).await;
    }
    for call in calls {
        soon("an answer", call).await.unwrap().unwrap();
    }
}

async fn a_server_that_sheds_load_refuses_what_is_too_much(on: On) {
    let (script, mut events, permits) = gated();
    let server = serve!(on, server => server
        .concurrency_limit_per_connection(1)
        .load_shed(true)
        .add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let mut first = client.clone();
    let first = tokio::spawn(async move { first.unary_call(request("x")).await });
    expect_event(&mut events, Event::Started).await;
    let second = soon("a refusal", client.unary_call(request("x"))).await;
    assert_eq!(second.unwrap_err().code(), Code::ResourceExhausted);
    permits.add_permits(2);
    soon("the first answer", first).await.unwrap().unwrap();
    soon("a later answer", client.unary_call(request("x")))
        .await
        .unwrap();
}

async fn a_graceful_shutdown_finishes_calls_in_flight(on: On) {
    let (script, mut events, permits) = gated();
    let go_on = Arc::new(Notify::new());
    let gate = go_on.clone();
    let script = script.down(move |_| {
        let gate = gate.clone();
        async move {
            let first = stream::once(async { Ok(down("first")) });
            let second = stream::once(async move {
                gate.notified().await;
                Ok(down("second"))
            });
            Ok(Response::new(Box::pin(first.chain(second)) as Down))
        }
    });
    let mut server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.streaming_output_call(StreamingOutputCallRequest::default());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    soon("the first", responses.message())
        .await
        .unwrap()
        .unwrap();
    let unary = tokio::spawn(async move { client.unary_call(request("x")).await });
    expect_event(&mut events, Event::Started).await;

    server.shut_down();
    let refused = async { while server.try_channel().await.is_ok() {} };
    soon("a refusal of new channels", refused).await;
    permits.add_permits(1);
    go_on.notify_one();
    let response = soon("the answer", unary).await.unwrap().unwrap();
    assert_eq!(body(response.into_inner().payload), "x");
    let second = soon("the second", responses.message()).await.unwrap();
    assert_eq!(body(second.unwrap().payload), "second");
    assert_eq!(soon("the end", responses.message()).await.unwrap(), None);
    server.stopped().await;
}

async fn the_servers_own_timeout_ends_a_handler(on: On) {
    let (script, mut events) = sleeper();
    let server = serve!(on, server => server
        .timeout(Duration::from_millis(50))
        .add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let result = soon("the timeout", client.unary_call(SimpleRequest::default())).await;
    assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
    expect_event(&mut events, Event::Started).await;
    expect_event(&mut events, Event::Dropped).await;
}

async fn many_tasks_share_one_channel(on: On) {
    let server = serve!(on, server => server.add_service(echo().service()));
    let client = TestServiceClient::new(server.channel().await);
    let tasks: Vec<_> = (0..64_usize)
        .map(|task| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    // Sizes on both sides of every limit between inline and pieces.
                    let sent = Bytes::from(noise((task * 50 + round) * 37 % 100_000));
                    let response = client.unary_call(request(sent.clone())).await?;
                    assert!(body(response.into_inner().payload) == sent);
                }
                Ok::<(), Status>(())
            })
        })
        .collect();
    for task in tasks {
        soon("a task's end", task).await.unwrap().unwrap();
    }
}

async fn a_hundred_conversations_go_on_at_once(on: On) {
    let script = Script::default().both(|request| async move {
        let echoed = request
            .into_inner()
            .map(|message| message.map(|message| down(body(message.payload))));
        Ok(Response::new(Box::pin(echoed) as Down))
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let ask = |text: String| StreamingOutputCallRequest {
        payload: payload(text),
        ..StreamingOutputCallRequest::default()
    };
    let mut open = Vec::new();
    for _ in 0..100 {
        let (sender, receiver) = mpsc::channel(1);
        let call = client.full_duplex_call(ReceiverStream::new(receiver));
        open.push((sender, soon("a stream", call).await.unwrap().into_inner()));
    }
    for round in 0..10 {
        for (index, (sender, _)) in open.iter().enumerate() {
            sender
                .send(ask(format!("{round} of {index}")))
                .await
                .unwrap();
        }
        for (index, (_, responses)) in open.iter_mut().enumerate() {
            let message = soon("an echo", responses.message()).await.unwrap();
            let echoed = body(message.unwrap().payload);
            assert_eq!(echoed, format!("{round} of {index}"));
        }
    }
    for (sender, mut responses) in open {
        drop(sender);
        assert_eq!(soon("the end", responses.message()).await.unwrap(), None);
    }
}

async fn a_server_that_refuses_before_it_has_read_is_heard(on: On) {
    let script = echo().up(|_| async { Err(Status::permission_denied("not today")) });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let endless = stream::repeat_with(|| up(vec![0; PIECE]));
    let call = client.streaming_input_call(endless);
    let status = soon("the refusal", call).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::PermissionDenied, "not today")
    );
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}

async fn a_server_may_end_a_conversation_first(on: On) {
    let script = Script::default().both(|_| async {
        let only = stream::once(async { Ok(down("only")) });
        Ok(Response::new(Box::pin(only) as Down))
    });
    let server = serve!(on, server => server.add_service(script.service()));
    let mut client = TestServiceClient::new(server.channel().await);
    let call = client.full_duplex_call(stream::pending());
    let mut responses = soon("the stream", call).await.unwrap().into_inner();
    let message = soon("the message", responses.message()).await.unwrap();
    assert_eq!(body(message.unwrap().payload), "only");
    assert_eq!(soon("the end", responses.message()).await.unwrap(), None);
    soon("EmptyCall", client.empty_call(Empty {}))
        .await
        .unwrap();
}
