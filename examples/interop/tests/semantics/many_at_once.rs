//! Many calls on one channel.

use bytes::Bytes;
use futures_util::StreamExt;
use nowire_interop::proto::testing::{
    StreamingOutputCallRequest, test_service_client::TestServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
    payload::{body, down, noise, payload, request},
    script::{Down, Script},
};

on_each_carrier! {
    many_tasks_share_one_channel
    a_hundred_conversations_go_on_at_once
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
