//! Interceptors and tower layers.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use nowire_interop::proto::testing::{Empty, test_service_client::TestServiceClient};
use tonic::{Code, Request, Status, metadata::AsciiMetadataValue, service::Interceptor};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
};

on_each_carrier! {
    interceptors_run_on_both_sides
    tower_layers_run_on_both_sides
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
