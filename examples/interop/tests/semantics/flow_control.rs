//! A side that pauses holds back its own stream and nobody else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream};
use nowire_grpc::Server;
use nowire_interop::proto::testing::{
    StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tokio::sync::Notify;
use tonic::Response;

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
    payload::{LARGE, PIECE, body, down, noise, request, summed, up},
    script::Down,
};

on_each_carrier! {
    a_reader_that_pauses_stops_the_server_and_nobody_else
    a_server_that_pauses_stops_the_client_and_nobody_else
    a_large_message_that_nobody_takes_hinders_no_small_call
    small_calls_pass_a_large_message
}

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

/// By default one stream that nobody reads may fill the whole HTTP/2 connection's window, and
/// stop all others. A user who wants them to go on gives the connection more than a stream.
fn wide(server: Server) -> Server {
    server.http2_options(|http2| http2.initial_connection_window_size(4 << 20))
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
