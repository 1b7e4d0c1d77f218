//! Servers that end a call before the client does.

use futures_util::stream;
use nowire_interop::proto::testing::{Empty, test_service_client::TestServiceClient};
use tonic::{Code, Response, Status};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
    payload::{PIECE, body, down, up},
    script::{Down, Script},
};

on_each_carrier! {
    a_server_that_refuses_before_it_has_read_is_heard
    a_server_may_end_a_conversation_first
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
