//! What goes with a call besides its arguments.

use nowire::CallError;

use crate::house::House;
use crate::lab::LabClient;

fn header(client: &LabClient, name: &str) -> Option<String> {
    let scope = client.scope().expect("room");
    let name = scope.build(scope.str(name).expect("room")).expect("room");
    let value = client.header(&name).expect("served");
    value.get().as_ref().map(|value| value.as_str().to_owned())
}

#[test]
fn metadata_reaches_the_handler_and_only_that_of_its_call() {
    let house = House::new();
    let _server = house.server("");
    let plain = house.client();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = plain
        .clone()
        .metadata("traceparent", trace)
        .metadata("tenant", "blau→grün")
        .metadata("empty", "");
    for _ in 0..3 {
        assert_eq!(header(&traced, "traceparent").as_deref(), Some(trace));
        assert_eq!(header(&traced, "tenant").as_deref(), Some("blau→grün"));
        assert_eq!(header(&traced, "empty").as_deref(), Some(""));
        assert_eq!(header(&traced, "absent"), None);
        assert_eq!(*traced.headers().expect("served"), 3);
        assert_eq!(header(&plain, "traceparent"), None);
        assert_eq!(*plain.headers().expect("served"), 0);
    }
}

#[test]
fn metadata_of_several_kilobytes_goes_and_more_than_a_message_is_refused() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    let value = "v".repeat(8000);
    let long = client.clone().metadata("long", &value);
    assert_eq!(header(&long, "long"), Some(value));
    let too_long = client.clone().metadata("long", &"v".repeat(60_000));
    match too_long.add(1, 2) {
        Err(CallError::TooLarge { bytes, limit_bytes }) => assert!(bytes > limit_bytes),
        Err(CallError::Metadata(text)) => assert!(text.contains("long"), "{text}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(*client.add(1, 2).expect("served"), 3);
}

#[test]
fn metadata_comes_back_with_the_reply_of_its_call() {
    let house = House::new();
    let _server = house.server("");
    let client = house.client();
    for n in 0..3 {
        let long = client.echo_header(n * 1000).expect("served");
        assert_eq!(*long, n * 1000);
        assert_eq!(
            long.metadata("length").as_deref(),
            Some(&*format!("{}", n * 1000))
        );
        let value = long.metadata("value").expect("it came");
        assert_eq!(value.len() as u64, n * 1000);
        assert_eq!(long.all_metadata().len(), 2);
        let plain = client.add(n, 1).expect("served");
        assert!(plain.all_metadata().is_empty());
    }
}

#[test]
fn a_handler_knows_its_caller() {
    let house = House::new();
    let server = house.server("");
    let client = house.client();
    assert_eq!(*client.caller().expect("served"), std::process::id());
    assert_eq!(*client.pid().expect("served"), server.pid());
    assert_eq!(client.channel().peer().pid, server.pid());
}
