//! One message there, one back.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::task::JoinSet;
use tonic::{Request, metadata::MetadataValue};

use super::{LARGE_RESPONSE, answer, client, expect_zeros, large_request};
use crate::{
    Channel, Failure, Settings,
    proto::testing::{Empty, Payload, SimpleRequest},
};

pub(crate) async fn empty<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = client(channel);
    answer("EmptyCall", settings, client.empty_call(Empty {})).await?;
    Ok(())
}

pub(crate) async fn large<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut client = client(channel);
    let call = client.unary_call(large_request());
    let response = answer("UnaryCall", settings, call).await?.into_inner();
    expect_zeros("UnaryCall", LARGE_RESPONSE, response.payload.as_ref())
}

/// The description wants a proxy on the way that answers the second call from its memory, and
/// clients that may send GET, which tonic's may not. Without the proxy there is left: both calls
/// succeed, and the response says for how long it may be kept.
pub(crate) async fn cacheable<C: Channel>(
    channel: C,
    settings: &Settings,
) -> Result<String, Failure> {
    let mut client = client(channel);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let message = SimpleRequest {
        payload: Some(Payload {
            body: Bytes::from(now.as_nanos().to_string()),
            ..Payload::default()
        }),
        ..SimpleRequest::default()
    };
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut request = Request::new(message.clone());
        request
            .metadata_mut()
            .insert("x-user-ip", MetadataValue::from_static("1.2.3.4"));
        let call = client.cacheable_unary_call(request);
        let response = answer("CacheableUnaryCall", settings, call).await?;
        let kept = response.metadata().get("cache-control");
        if !kept.is_some_and(|value| value.as_bytes().starts_with(b"max-age=")) {
            return Err(Failure::Mismatch {
                what: "CacheableUnaryCall: header cache-control".into(),
                expected: "max-age=SECONDS".into(),
                got: format!("{kept:?}"),
            });
        }
        let body = response.into_inner().payload.unwrap_or_default().body;
        if body.is_empty() {
            return Err(Failure::Mismatch {
                what: "CacheableUnaryCall: payload".into(),
                expected: "the server's time".into(),
                got: "nothing".into(),
            });
        }
        bodies.push(body);
    }
    Ok(if bodies[0] == bodies[1] {
        "a proxy answered the second call".into()
    } else {
        "no caching proxy on the way".into()
    })
}

pub(crate) async fn concurrent<C: Channel>(channel: C, settings: &Settings) -> Result<(), Failure> {
    let mut calls = JoinSet::new();
    for _ in 0..settings.concurrent_calls {
        let (channel, settings) = (channel.clone(), settings.clone());
        calls.spawn(async move { large(channel, &settings).await });
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(())
}
