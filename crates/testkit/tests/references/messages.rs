//! Blobs in messages of every kind of call, over every carrier.

use std::sync::{Arc, Mutex};

use nowire_grpc::{Blob, Channel};
use nowire_testkit::depot::{DepotClient, Nothing, Order, Parcel, contents, is_made_of};
use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::scene::{
    Client, DEPOT, PATIENCE, Yard, assert_lets_go, assert_live, assert_maps_nothing,
    assert_nothing_held_here, assert_nothing_held_here_but, client, depot, mappings, reference,
    serve, wait_until,
};
use crate::setup::Setup;

/// Sizes around everything that is done in another way from some size on.
const SIZES: &[usize] = &[
    0,
    1,
    4095,
    16 << 10,
    (16 << 10) - 1,
    65_537,
    100_000,
    (1 << 20) + 3,
];

/// How many of the sizes go by reference, by default.
fn large() -> usize {
    SIZES.iter().filter(|size| **size >= 16 << 10).count()
}

fn parcels() -> Vec<Parcel> {
    let parcel = |(seed, size): (u64, &usize)| Parcel::of(seed, contents(seed, *size));
    (0..).zip(SIZES).map(parcel).collect()
}

fn assert_right(parcel: &Parcel, by_reference: bool) {
    let content = parcel.content.clone().unwrap_or_default();
    let bytes = content.open().expect("it can be read");
    assert!(is_made_of(parcel.seed, &bytes), "{content:?}");
    assert_eq!(content.reference().is_some(), by_reference, "{content:?}");
}

/// Calls of every kind, with blobs of every size both ways.
async fn exercise(client: &mut Client, by_reference: bool) {
    let is_referred = |parcel: &Parcel| {
        let size = parcel.content.as_ref().map_or(0, Blob::len);
        by_reference && size >= 16 << 10
    };
    let expected = if by_reference { large() as u32 } else { 0 };

    let mut referred = 0;
    for parcel in parcels() {
        let receipt = client
            .store(parcel.clone())
            .await
            .expect("served")
            .into_inner();
        assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
        referred += receipt.by_reference;
        let back = client.r#return(parcel).await.expect("served").into_inner();
        assert_right(&back, is_referred(&back));
    }
    assert_eq!(referred, expected);

    let loaded = client.load(tokio_stream::iter(parcels())).await;
    let receipt = loaded.expect("served").into_inner();
    assert_eq!(receipt.blobs as usize, SIZES.len());
    assert_eq!((receipt.wrong, receipt.failed), (0, 0), "{receipt:?}");
    assert_eq!(receipt.by_reference, expected);

    for size in SIZES {
        let order = Order {
            seed: 7,
            count: 3,
            bytes: *size as u64,
            ..Order::default()
        };
        let unloaded = client.unload(order).await.expect("served");
        let mut parcels = unloaded.into_inner();
        let mut came = 0;
        while let Some(parcel) = parcels.message().await.expect("served") {
            assert_eq!(parcel.content.as_ref().map_or(0, Blob::len), *size);
            assert_right(&parcel, is_referred(&parcel));
            came += 1;
        }
        assert_eq!(came, 3);
    }

    let exchanged = client.exchange(tokio_stream::iter(parcels())).await;
    let mut back = exchanged.expect("served").into_inner();
    for seed in 0..SIZES.len() as u64 {
        let parcel = back.message().await.expect("served").expect("one for each");
        assert_eq!(parcel.seed, seed);
        assert_right(&parcel, is_referred(&parcel));
    }
    assert!(back.message().await.expect("served").is_none());
}

#[test]
fn small_blobs_go_by_value_and_large_ones_by_reference_in_calls_of_every_kind() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(exercise(&mut client, true));
    // The channel is still there: nothing waits for its end.
    assert_lets_go(&program);
    assert_nothing_held_here();
    assert_live(0);
    assert_eq!(program.ask("segments"), "0");
    assert_eq!(program.ask("misbehaved"), "0");
    house.assert_no_panic();
}

#[test]
fn memory_of_one_segment_is_used_again_for_the_next() {
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    // What other tests left in the pool.
    assert_live(0);
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        for round in 0..200 {
            let parcel = Parcel::of(round, reference(round, 100_000));
            let receipt = client.store(parcel).await.expect("served").into_inner();
            assert_eq!((receipt.by_reference, receipt.wrong), (1, 0));
        }
    });
    assert_lets_go(&program);
    assert_ne!(mappings(program.pid()), 0, "what came again is mapped");
    let usage = nowire::Pool::process().usage();
    assert!(
        usage.live_bytes + usage.kept_bytes < 32 * 131_072,
        "{usage:?}"
    );
    // The server keeps none of it when the client has gone.
    drop(client);
    assert_maps_nothing(program.pid());
    house.assert_no_panic();
}

#[test]
fn a_channel_whose_server_is_killed_has_nothing_of_it_mapped() {
    let house = Yard::new();
    let mut program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        for seed in 0..10 {
            let parcel = Parcel::of(seed, contents(seed, 50_000));
            let back = client.r#return(parcel).await.expect("served").into_inner();
            assert_right(&back, true);
        }
    });
    let here = std::process::id();
    assert_nothing_held_here();
    assert_ne!(mappings(here), 0, "what came again is mapped");
    program.kill();
    // The channel is still there, and nobody uses it.
    assert_maps_nothing(here);
    drop(client);
    house.assert_no_panic();
}

#[test]
fn over_http2_the_same_handlers_and_clients_get_plain_bytes() {
    let house = Yard::new();
    let path = house.dir().join("depot");
    let unix = format!("unix:{}", path.display());
    for address in ["127.0.0.1:0", &unix] {
        let (program, address) = serve(&house, &format!("at={address}"));
        let mut plain = client(&house, &address, "carrier=http2");
        house.runtime().block_on(exercise(&mut plain, false));
        // At the same address there are references too.
        let mut memory = client(&house, &address, "");
        house.runtime().block_on(exercise(&mut memory, true));
        assert_lets_go(&program);
    }
    house.assert_no_panic();
}

/// Words of the server, of the client, and whether references pass then.
const SETUPS: &[(&str, &str, bool)] = &[
    ("off", "", false),
    ("", "off", false),
    ("off", "off", false),
    ("small", "small", true),
    ("small", "", true),
    ("", "small", true),
    ("window=16384", "window=16384", true),
    ("keeping=trust", "keeping=trust", true),
    ("keeping=seal seal=65536", "keeping=seal seal=65536", true),
    ("used-once", "used-once", true),
    ("window=8192", "window=8192", false),
];

#[test]
fn however_the_two_sides_are_set_up_all_contents_are_right() {
    for (served, called, by_reference) in SETUPS {
        let house = Yard::new();
        let program = depot(&house, &format!("at={DEPOT} {served}"));
        let mut client = client(&house, DEPOT, called);
        let done = house.runtime().block_on(async {
            tokio::time::timeout(PATIENCE, exercise(&mut client, *by_reference)).await
        });
        assert!(done.is_ok(), "{served} and {called}: hangs");
        assert_lets_go(&program);
        house.assert_no_panic();
    }
}

#[test]
fn with_a_small_window_on_one_side_references_go_the_other_way_only() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT} window=8192"));
    let mut client = client(&house, DEPOT, "");
    house.runtime().block_on(async {
        let parcel = Parcel::of(1, contents(1, 100_000));
        let receipt = client.store(parcel.clone()).await.expect("served");
        assert_eq!(receipt.get_ref().by_reference, 0, "its window is small");
        assert_eq!(receipt.get_ref().wrong, 0);
        let back = client.r#return(parcel).await.expect("served");
        assert_right(back.get_ref(), true);
    });
    house.assert_no_panic();
}

/// What a client of another maker knows of the messages.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PlainParcel {
    #[prost(uint64, tag = "1")]
    pub(crate) seed: u64,
    #[prost(message, optional, tag = "2")]
    pub(crate) content: Option<PlainBlob>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) others: Vec<PlainBlob>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PlainBlob {
    #[prost(bytes = "vec", tag = "1")]
    pub(crate) data: Vec<u8>,
}

#[test]
fn a_client_of_another_maker_sees_ordinary_bytes() {
    let house = Yard::new();
    let (_program, url) = serve(&house, "at=127.0.0.1:0");
    house.runtime().block_on(async {
        let endpoint = tonic::transport::Endpoint::from_shared(url.clone()).expect("a URL");
        let channel = endpoint.connect().await.expect("it serves HTTP/2");
        let mut plain = tonic::client::Grpc::new(channel);
        plain.ready().await.expect("connected");
        let sent = PlainParcel {
            seed: 3,
            content: Some(PlainBlob {
                data: contents(3, 100_000),
            }),
            others: vec![PlainBlob {
                data: contents(4, 10),
            }],
        };
        let path = "/nowire.testkit.Depot/Return".parse().expect("a path");
        let codec = tonic_prost::ProstCodec::<PlainParcel, PlainParcel>::default();
        let back = plain.unary(Request::new(sent.clone()), path, codec).await;
        assert_eq!(back.expect("served").into_inner(), sent);
    });
    // What it left with the depot is there for a peer in the same domain.
    house.runtime().block_on(async {
        let mut memory = DepotClient::new(Setup::new("", house.dir()).channel(&url));
        let kept = memory.keep(Parcel::of(1, contents(1, 50_000))).await;
        assert_eq!(kept.expect("served").into_inner().by_reference, 1);
        let receipt = memory.inspect(Nothing {}).await.expect("served");
        assert_eq!(receipt.into_inner().wrong, 0);
    });
}

#[test]
fn a_message_encoded_aside_holds_plain_bytes() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    let aside = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&aside);
    let sent = (0..5).map(move |seed| {
        // The transport polls this body for what goes by reference.
        let parcel = Parcel::of(seed, reference(seed, 50_000));
        let encoded = parcel.encode_to_vec();
        assert_eq!(encoded.len(), parcel.encoded_len());
        kept.lock().expect("unharmed").push(encoded);
        parcel
    });
    let receipt = house
        .runtime()
        .block_on(client.load(tokio_stream::iter(sent)));
    let receipt = receipt.expect("served").into_inner();
    assert_eq!((receipt.blobs, receipt.by_reference), (5, 5));
    assert_eq!(receipt.wrong, 0);
    let aside = aside.lock().expect("unharmed");
    assert_eq!(aside.len(), 5);
    for (seed, encoded) in (0..).zip(&*aside) {
        let plain = PlainParcel::decode(&encoded[..]).expect("a message");
        let data = plain.content.unwrap_or_default().data;
        assert_eq!(data.len(), 50_000);
        assert!(is_made_of(seed, &data));
    }
    house.assert_no_panic();
}

#[test]
fn many_blobs_in_one_message_all_arrive() {
    const ALL: &[(&str, usize)] = &[
        ("", 100),
        ("small", 100),
        ("window=16384", 100),
        // More than the receiver keeps descriptors.
        ("", 600),
        ("held=8", 100),
    ];
    for (words, count) in ALL {
        let house = Yard::new();
        let program = depot(&house, &format!("at={DEPOT} {words}"));
        let mut client = client(&house, DEPOT, words);
        let parcel = Parcel {
            seed: 10,
            content: None,
            others: (10..10 + *count as u64)
                .map(|seed| Blob::from(reference(seed, 20_000)))
                .collect(),
            pause_us: 0,
        };
        let back = house.runtime().block_on(async {
            let client = client.clone();
            let mut client = client.max_decoding_message_size(64 << 20);
            let back = client.r#return(parcel.clone());
            tokio::time::timeout(PATIENCE, back).await
        });
        assert!(back.is_ok(), "{words} {count}: hangs");
        let back = back.expect("checked above");
        let back = back.unwrap_or_else(|status| panic!("{words} {count}: {status}"));
        assert!(back.into_inner() == parcel, "{words} {count}");
        // What a call sent counts for a moment after it.
        wait_until("some go by reference", || {
            let receipt = house.runtime().block_on(client.store(parcel.clone()));
            let receipt = receipt.expect("served").into_inner();
            assert_eq!(receipt.blobs as usize, *count);
            assert_eq!(
                (receipt.wrong, receipt.failed),
                (0, 0),
                "{words}: {receipt:?}"
            );
            receipt.by_reference > 0
        });
        assert_lets_go(&program);
        house.assert_no_panic();
    }
}

/// Takes messages as they came.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes_of(into, &message);
        Ok(())
    }
}

fn bytes_of(into: &mut EncodeBuf<'_>, message: &[u8]) {
    use prost::bytes::BufMut;
    into.put_slice(message);
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use prost::bytes::Buf;
        let mut message = vec![0; from.remaining()];
        from.copy_to_slice(&mut message);
        Ok(Some(message))
    }
}

fn failure(encoded: &[u8]) -> String {
    let parcel = Parcel::decode(encoded).expect("a good message");
    let content = parcel.content.unwrap_or_default();
    assert!(content.reference().is_none(), "{content:?}");
    let error = content.open().expect_err("nothing can be opened");
    error.to_string()
}

#[test]
fn a_token_is_good_once_and_while_its_call_is_open() {
    let house = Yard::new();
    let program = depot(&house, &format!("at={DEPOT}"));
    let channel: Channel = {
        let _inside = house.runtime().enter();
        Setup::new("", house.dir()).channel(DEPOT)
    };
    house.runtime().block_on(async {
        let mut raw = tonic::client::Grpc::new(channel);
        raw.ready().await.expect("connected");
        let order = Order {
            seed: 1,
            count: 3,
            bytes: 50_000,
            ..Order::default()
        };
        let path = "/nowire.testkit.Depot/Unload".parse().expect("a path");
        let order = Request::new(order.encode_to_vec());
        let stream = raw
            .server_streaming(order, path, Raw)
            .await
            .expect("served");
        let mut stream = stream.into_inner();
        let mut messages = Vec::new();
        while messages.len() < 3 {
            let message = stream.message().await.expect("served").expect("three");
            assert!(message.len() < 100, "a token, not {} bytes", message.len());
            messages.push(message);
        }
        let first = Parcel::decode(&messages[0][..]).expect("a good message");
        assert_right(&first, true);
        let again = failure(&messages[0]);
        assert!(again.contains("not valid any more"), "{again}");
        drop(stream);
        // The call ends for good a moment later: its frames may just be looked at.
        assert_nothing_held_here_but(1);
        for late in &messages[1..] {
            let late = failure(late);
            assert!(late.contains("not valid any more"), "{late}");
        }
        // What was taken in time stays good.
        assert_right(&first, true);

        let path = "/nowire.testkit.Depot/Return".parse().expect("a path");
        let parcel = Parcel::of(9, reference(9, 50_000)).encode_to_vec();
        raw.ready().await.expect("connected");
        let back = raw.unary(Request::new(parcel), path, Raw).await;
        // Its call ends for good a moment later.
        assert_nothing_held_here_but(1);
        let late = failure(&back.expect("served").into_inner());
        assert!(late.contains("not valid any more"), "{late}");
    });
    assert_lets_go(&program);
    assert_nothing_held_here();
    house.assert_no_panic();
}

#[test]
fn a_blob_that_cannot_be_read_fails_its_call_and_no_other() {
    let house = Yard::new();
    let _program = depot(&house, &format!("at={DEPOT}"));
    let mut client = client(&house, DEPOT, "");
    // A token that this process made up.
    let encoded = [&[0x12, 26, 0x12, 24][..], &[7; 24]].concat();
    let broken = Parcel::decode(&encoded[..]).expect("a good message");
    let status = house.runtime().block_on(client.store(broken));
    let status = status.expect_err("it must not arrive as something else");
    assert!(status.message().contains("not valid any more"), "{status}");
    let good = house
        .runtime()
        .block_on(client.store(Parcel::of(1, contents(1, 50_000))));
    assert_eq!(good.expect("served").into_inner().wrong, 0);
    house.assert_no_panic();
}
