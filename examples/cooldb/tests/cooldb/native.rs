//! The store behind native calls.

use crate::answers;
use std::ffi::OsStr;
use std::path::Path;

use nowire::{Channel, ChannelOptions, Keeping, Running, Server};
use nowire_cooldb::builder::Builder;
use nowire_cooldb::client::Client;
use nowire_cooldb::native::{CoolDbClient, InScope, Json, NativeClient, Refused, Service};
use nowire_cooldb::nobench::{Collection, INDEXES, Record};
use nowire_cooldb::query::Key;
use nowire_cooldb::reader::Copied;
use nowire_testkit::Program;
use tempfile::TempDir;

/// A server in this process, and where it is.
struct House {
    dir: TempDir,
    _running: Running,
}

impl House {
    fn build(keeping: Keeping) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = Server::builder()
            .keeping(keeping)
            .runtime_dir(dir.path())
            .add(Service::new(INDEXES))
            .start("cooldb");
        Self {
            _running: running.unwrap(),
            dir,
        }
    }

    async fn channel(&self, keeping: Keeping) -> Channel {
        channel(self.dir.path(), keeping).await
    }
}

async fn channel(dir: &Path, keeping: Keeping) -> Channel {
    let mut options = ChannelOptions {
        keeping,
        ..ChannelOptions::default()
    };
    options.connect.runtime_dir = Some(dir.to_owned());
    Channel::connect("cooldb", options).await.unwrap()
}

async fn answers_as_a_store_in_this_process(keeping: Keeping) {
    let house = House::build(keeping);
    let client = NativeClient::new(house.channel(keeping).await).unwrap();
    answers::as_a_store_in_this_process(client).await;
}

#[tokio::test]
async fn a_trusting_service_answers_as_a_store_in_this_process() {
    answers_as_a_store_in_this_process(Keeping::Trust).await;
}

#[tokio::test]
async fn a_copying_service_answers_as_a_store_in_this_process() {
    answers_as_a_store_in_this_process(Keeping::Copy).await;
}

#[tokio::test]
async fn documents_outlive_the_client_that_brought_them() {
    let house = House::build(Keeping::Trust);
    let collection = Collection::new(5, 200);
    let records: Vec<Record> = collection.records(0..200).collect();
    let mut client = NativeClient::new(house.channel(Keeping::Trust).await).unwrap();
    client.insert(&records).await.unwrap();
    drop(client);

    let mut other = NativeClient::new(house.channel(Keeping::Trust).await).unwrap();
    for (id, record) in (0..).zip(&records) {
        let mut found = Copied::default();
        assert_eq!(other.get(&Key::Id(id), &mut found).await.unwrap(), Some(id));
        let Ok(document) = record.build(&nowire_cooldb::plain::Plain);
        assert_eq!(found.rows, [(id, vec![Some(document)])]);
    }
}

/// A server in another process: one alone cannot have a heap at its address twice.
fn serve(dir: &Path, carrier: &str) -> Program {
    let arguments = ["serve", "--carrier", carrier, "--dir"].map(OsStr::new);
    let arguments = arguments.into_iter().chain([dir.as_os_str()]);
    let server = Program::start(env!("CARGO_BIN_EXE_cooldb"), arguments);
    server.line("{\"Ready\"");
    server
}

#[tokio::test]
async fn a_client_reads_the_stored_document_and_others_a_copy_of_it() {
    for carrier in ["trust", "copy"] {
        let dir = tempfile::tempdir().unwrap();
        let _server = serve(dir.path(), carrier);
        let channel = async || channel(dir.path(), Keeping::Trust).await;
        let mut builder = NativeClient::new(channel().await).unwrap();
        let mut reader = NativeClient::new(channel().await).unwrap();
        let collection = Collection::new(5, 10);
        let mut records: Vec<Record> = collection.records(0..10).collect();
        // One that no scope of a reply has room for.
        records[7].words = vec!["word".repeat(1000); 100];
        builder.insert(&records).await.unwrap();
        for (id, record) in (0..).zip(&records) {
            let Ok(document) = record.build(&nowire_cooldb::plain::Plain);
            let expected = [(id, vec![Some(document)])];
            for (is_builder, client) in [(true, &mut builder), (false, &mut reader)] {
                let mut found = Copied::default();
                let got = client.get(&Key::Id(id), &mut found).await;
                if id == 7 && !(is_builder && carrier == "trust") {
                    assert!(got.is_err(), "it was not copied");
                    continue;
                }
                assert_eq!(got.unwrap(), Some(id));
                assert_eq!(found.rows, expected);
            }
        }
    }
}

#[tokio::test]
async fn the_store_keeps_what_it_trusts_where_it_was_built() {
    for (carrier, keeping, scopes) in [("trust", Keeping::Trust, 1), ("copy", Keeping::Copy, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let _server = serve(dir, carrier);
        let channel = channel(dir, keeping).await;
        let mut client = NativeClient::new(channel.clone()).unwrap();
        let records: Vec<Record> = Collection::new(5, 10).records(0..10).collect();
        client.insert(&records).await.unwrap();
        assert_eq!(channel.held_scopes(), scopes, "{keeping:?}");
    }
}

#[tokio::test]
async fn a_document_that_is_no_object_is_named_and_its_scope_given_back() {
    let house = House::build(Keeping::Trust);
    let channel = house.channel(Keeping::Trust).await;
    let client = CoolDbClient::new(channel.clone());
    let scope = client.scope().unwrap();
    let builder = InScope(&scope);
    let object = builder.end_object(builder.begin_object(0)).unwrap();
    let batch = scope.slice_of([object, Json::Bool(true)]).unwrap();
    let refused = client.insert(scope.build(batch).unwrap()).unwrap_err();
    let nowire::CallError::Returned(reason) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reason, Refused::NoObject { index: 1 });

    assert_eq!(client.stats().unwrap().documents, 0);
    assert_eq!(channel.held_scopes(), 0);
}

#[tokio::test]
async fn a_batch_may_be_much_larger_than_was_guessed() {
    let house = House::build(Keeping::Trust);
    let mut client = NativeClient::new(house.channel(Keeping::Trust).await).unwrap();
    let collection = Collection::new(5, 300);
    let mut long = collection.record(7);
    long.words = vec!["word".repeat(1000); 50];
    let mut records: Vec<Record> = collection.records(0..300).collect();
    client.insert(&records).await.unwrap();
    records.fill(long);
    assert_eq!(client.insert(&records[..20]).await.unwrap(), 300);
    let mut found = Copied::default();
    // A copy has to fit into the scope of a reply, which is smaller.
    assert!(client.get(&Key::Id(300), &mut found).await.is_err());
    assert_eq!(client.get(&Key::Id(7), &mut found).await.unwrap(), Some(7));
}

#[tokio::test]
async fn a_document_that_is_too_deep_is_named() {
    let house = House::build(Keeping::Trust);
    let client = CoolDbClient::new(house.channel(Keeping::Trust).await);
    let scope = client.scope().unwrap();
    let builder = InScope(&scope);
    let mut inner = Json::Null;
    for _ in 0..500 {
        inner = Json::List(scope.slice_of([inner]).unwrap());
    }
    let mut object = builder.begin_object(1);
    builder.field(&mut object, "deep", inner);
    let document = builder.end_object(object).unwrap();
    let batch = scope.slice_of([document]).unwrap();
    let refused = client.insert(scope.build(batch).unwrap()).unwrap_err();
    let nowire::CallError::Returned(reason) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(reason, Refused::TooDeep { index: 0 });
}
