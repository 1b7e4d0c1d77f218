//! Deadlines, and who enforces them.

use std::{
    sync::{Arc, mpsc as blocking},
    time::Duration,
};

use nowire_interop::proto::testing::{
    Empty, SimpleRequest, StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tonic::{Code, Request};

use crate::support::{
    carrier::{On, PATIENCE, serve, soon},
    handlers::{expect_event, murmur, sleeper},
    script::Event,
};

on_each_carrier! {
    an_expired_deadline_ends_the_call_and_the_handler
    the_server_enforces_the_deadline_by_itself
    the_deadline_covers_the_whole_stream
    the_servers_own_timeout_ends_a_handler
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
