//! The store behind gRPC, without a carrier.

use crate::answers;
use nowire_cooldb::grpc::proto::cool_db_client::CoolDbClient;
use nowire_cooldb::grpc::proto::{Documents, Filter, Json, Key, Object, Query, Select, Whole};
use nowire_cooldb::grpc::proto::{json, select};
use nowire_cooldb::grpc::{GrpcClient, Service};
use nowire_cooldb::nobench::INDEXES;
use tonic::Code;

#[tokio::test]
async fn the_service_answers_as_a_store_in_this_process() {
    let client = GrpcClient::new(Service::new(INDEXES));
    answers::as_a_store_in_this_process(client).await;
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_named() {
    let mut stub = CoolDbClient::new(Service::new(INDEXES));
    let refused = stub.get(Key::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("key"), "{refused}");

    let refused = stub.search(Query::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("select"), "{refused}");

    let select = Some(Select {
        select: Some(select::Select::Documents(Whole {})),
    });
    let filter = Some(Filter::default());
    let query = Query {
        select,
        filter,
        ..Query::default()
    };
    let refused = stub.search(query).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("condition"), "{refused}");
}

#[tokio::test]
async fn a_document_that_is_no_object_is_named() {
    let mut stub = CoolDbClient::new(Service::new(INDEXES));
    let object = json::Kind::Object(Object::default());
    let documents = vec![object.into(), Json { kind: None }];
    let refused = stub.insert(Documents { documents }).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("document 1"), "{refused}");
}
