//! Which services and methods are there.

use futures_util::stream;
use nowire_interop::proto::testing::{
    Empty, unimplemented_service_client::UnimplementedServiceClient,
};
use tonic::{Code, Request};

use crate::support::{
    carrier::{On, serve, soon},
    handlers::echo,
};

on_each_carrier! {
    unknown_services_and_methods_are_unimplemented
    health_and_reflection_answer
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
