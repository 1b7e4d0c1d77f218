//! Metadata, both ways.

use bytes::Bytes;
use nowire_interop::proto::testing::{
    SimpleRequest, SimpleResponse, test_service_client::TestServiceClient,
};
use tonic::{
    Request, Response,
    metadata::{AsciiMetadataValue, BinaryMetadataValue, MetadataMap},
};

use crate::support::{
    carrier::{On, serve, soon},
    script::Script,
};

on_each_carrier! {
    metadata_arrives_whole_and_in_order_both_ways
    metadata_of_many_kibibytes_passes_both_ways
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

/// Two keys, each twice, one of them binary with every byte there is.
pub(crate) fn rich_metadata() -> MetadataMap {
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

pub(crate) fn assert_rich(metadata: &MetadataMap) {
    let text: Vec<_> = metadata.get_all("x-text").iter().collect();
    assert_eq!(text, ["first, with comma", "second"]);
    let bytes: Vec<_> = metadata
        .get_all_bin("x-bytes-bin")
        .iter()
        .map(|value| value.to_bytes().expect("it is base64"))
        .collect();
    assert_eq!(bytes, [Bytes::from_iter(0..=255), Bytes::new()]);
}
