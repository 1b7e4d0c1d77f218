//! A client and a server meet, or learn why not.

mod common;

use std::sync::atomic::Ordering;

use common::{Runtime, both_meet, parse};
use nowire::{Address, ConnectError, ConnectOptions, ListenError, ListenOptions, Listener, meet};
use nowire_memory::socket::{Drained, drain_doorbell, ring_doorbell};
use nowire_protocol::geometry::Geometry;
use nowire_protocol::memory::{ReadMemory, WriteMemory};
use rustix::fd::AsFd;

#[tokio::test]
async fn both_sides_read_what_the_other_writes() {
    let runtime = Runtime::new();
    let larger = Geometry::new(512, 65_536).expect("a geometry");
    let options = ListenOptions {
        outbox: larger,
        max_streams: 7,
        window_bytes: 1000,
        ..runtime.listen_options()
    };
    let listener = Listener::bind(&[parse("nowire:inventory")], options).expect("a free name");
    let options = ConnectOptions {
        streams: 9,
        window_bytes: 2000,
        authority: "inventory.example".into(),
        user_agent: "tests/1".into(),
        ..runtime.connect_options()
    };
    let address = parse("nowire:inventory");
    let (client, server) = tokio::join!(meet(&address, options), listener.accept());
    let (client, server) = (client.expect("connected"), server.expect("accepted"));

    client.outbox.store(64, 42, Ordering::Release);
    assert_eq!(server.inbox.load(64, Ordering::Acquire), 42);
    server.outbox.copy_in(5000, b"hello");
    let mut text = [0; 5];
    client.inbox.copy_out(5000, &mut text);
    assert_eq!(&text, b"hello");

    assert_eq!((client.streams, server.streams), (7, 7));
    assert_eq!(
        (client.send_window_bytes, client.receive_window_bytes),
        (1000, 2000)
    );
    assert_eq!(
        (server.send_window_bytes, server.receive_window_bytes),
        (2000, 1000)
    );
    assert_eq!(
        (client.inbox_geometry, client.outbox_geometry),
        (larger, Geometry::DEFAULT)
    );
    assert_eq!(
        (server.outbox_geometry, server.inbox_geometry),
        (larger, Geometry::DEFAULT)
    );
    assert_eq!(
        (server.authority.as_str(), server.user_agent.as_str()),
        ("inventory.example", "tests/1")
    );
    let (pid, uid) = (std::process::id(), rustix::process::geteuid().as_raw());
    assert_eq!(
        client.peer.to_string(),
        format!("nowire:inventory (pid {pid}, uid {uid})")
    );
    assert_eq!(
        server.peer.to_string(),
        format!("client of nowire:inventory (pid {pid}, uid {uid})")
    );
}

#[tokio::test]
async fn the_doorbell_rings_and_the_hang_up_is_seen() {
    let runtime = Runtime::new();
    let listener = runtime.listen("nowire:bell");
    let (client, server) = both_meet(&runtime, &listener, "nowire:bell").await;
    assert_eq!(drain_doorbell(client.socket.as_fd()), Ok(Drained::Empty));
    ring_doorbell(server.socket.as_fd()).expect("the peer is there");
    assert_eq!(drain_doorbell(client.socket.as_fd()), Ok(Drained::Rung(1)));
    drop(server);
    assert_eq!(drain_doorbell(client.socket.as_fd()), Ok(Drained::HungUp));
}

#[tokio::test]
async fn a_doorbell_rung_right_after_the_welcome_is_not_lost() {
    let runtime = Runtime::new();
    let listener = runtime.listen("nowire:early");
    let server = tokio::spawn(async move {
        let met = listener.accept().await.expect("accepted");
        ring_doorbell(met.socket.as_fd()).expect("the peer is there");
        met
    });
    // The server has rung before the client reads its welcome.
    let client = runtime.meet("nowire:early").await.expect("connected");
    let _server = server.await.expect("no panic");
    assert_eq!(drain_doorbell(client.socket.as_fd()), Ok(Drained::Rung(1)));
}

#[tokio::test]
async fn every_kind_of_address_is_found() {
    let runtime = Runtime::new();
    let socket = runtime.path().join("http2.sock");
    let _http2 = std::os::unix::net::UnixListener::bind(&socket).expect("a Unix socket");
    let unix = Address::Unix(socket.clone());
    let addresses = [
        parse("127.0.0.1:50051"),
        parse("[::1]:50051"),
        parse("0.0.0.0:50052"),
        parse("nowire:all"),
        unix,
    ];
    let listener = Listener::bind(&addresses, runtime.listen_options()).expect("free addresses");
    std::os::unix::fs::symlink(&socket, runtime.path().join("alias.sock")).expect("a link");
    let alias = format!("unix:{}", runtime.path().join("alias.sock").display());
    let dotted = format!("unix:{}/./http2.sock", runtime.path().display());
    for address in [
        "127.0.0.1:50051",
        "[::ffff:127.0.0.1]:50051",
        "0.0.0.0:50051",
        "[::1]:50051",
        "127.0.0.1:50052",
        "127.1.2.3:50052",
        "0.0.0.0:50052",
        "nowire:all",
        &alias,
        &dotted,
    ] {
        let (client, server) = both_meet(&runtime, &listener, address).await;
        assert_eq!(client.peer.pid, server.peer.pid, "{address}");
    }
    for address in [
        "127.0.0.2:50051",
        "127.0.0.1:50053",
        "[::1]:50052",
        "nowire:al",
        "nowire:all2",
    ] {
        let refused = runtime.meet(address).await;
        assert!(
            matches!(refused, Err(ConnectError::NotAnnounced { .. })),
            "{address}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_wildcard_of_ipv6_takes_ipv4_as_its_socket_does() {
    let runtime = Runtime::new();
    let listener = runtime.listen("[::]:50051");
    for address in [
        "127.0.0.1:50051",
        "[::1]:50051",
        "0.0.0.0:50051",
        "[::]:50051",
    ] {
        both_meet(&runtime, &listener, address).await;
    }
    // Together they are one too many, and meant well.
    let both = [parse("[::]:50052"), parse("0.0.0.0:50052")];
    Listener::bind(&both, runtime.listen_options()).expect("the second is announced once");
}

#[tokio::test]
async fn a_unix_socket_made_anew_is_another_one() {
    let runtime = Runtime::new();
    let path = runtime.path().join("http2.sock");
    let address = format!("unix:{}", path.display());
    let first = std::os::unix::net::UnixListener::bind(&path).expect("a Unix socket");
    let listener = runtime.listen(&address);
    both_meet(&runtime, &listener, &address).await;
    drop(first);
    std::fs::remove_file(&path).expect("the socket is there");
    let gone = runtime.meet(&address).await;
    assert!(
        matches!(gone, Err(ConnectError::NotAnnounced { .. })),
        "{gone:?}"
    );
    let _second = std::os::unix::net::UnixListener::bind(&path).expect("a Unix socket");
    let other = runtime.meet(&address).await;
    assert!(
        matches!(other, Err(ConnectError::NotAnnounced { .. })),
        "{other:?}"
    );
}

#[tokio::test]
async fn a_unix_socket_that_is_not_there_cannot_be_announced() {
    let runtime = Runtime::new();
    let missing = Address::Unix(runtime.path().join("missing.sock"));
    let refused = Listener::bind(&[missing], runtime.listen_options());
    assert!(
        matches!(refused, Err(ListenError::Unresolved { .. })),
        "{refused:?}"
    );
    assert!(runtime.files().is_empty());
}

#[tokio::test]
async fn long_names_in_deep_directories_are_found() {
    let runtime = Runtime::new();
    let deep = runtime.path().join("d".repeat(120));
    let name = format!("nowire:{}", "n".repeat(64));
    let options = ListenOptions {
        runtime_dir: Some(deep.clone()),
        ..ListenOptions::default()
    };
    let listener = Listener::bind(&[parse(&name)], options).expect("a free name");
    let options = ConnectOptions {
        runtime_dir: Some(deep),
        ..ConnectOptions::default()
    };
    let address = parse(&name);
    let (client, server) = tokio::join!(meet(&address, options), listener.accept());
    assert_eq!(
        client.expect("connected").peer.pid,
        server.expect("accepted").peer.pid
    );
}

#[tokio::test]
async fn nothing_announced_says_where_it_looked() {
    let runtime = Runtime::new();
    let error = runtime
        .meet("nowire:nobody")
        .await
        .expect_err("nobody is there")
        .to_string();
    assert!(error.contains("nowire:nobody"), "{error}");
    assert!(error.contains("name-nobody.sock"), "{error}");
    assert!(
        error.contains(&runtime.path().display().to_string()),
        "{error}"
    );
    let options = ConnectOptions {
        runtime_dir: Some("/nowhere/at/all".into()),
        ..Default::default()
    };
    let nowhere = meet(&parse("nowire:nobody"), options).await;
    assert!(
        matches!(nowhere, Err(ConnectError::NotAnnounced { .. })),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn a_dropped_listener_leaves_no_file_and_its_connections_live_on() {
    let runtime = Runtime::new();
    let listener = runtime.listen("nowire:short");
    assert_eq!(runtime.files(), ["name-short.lock", "name-short.sock"]);
    let (client, server) = both_meet(&runtime, &listener, "nowire:short").await;
    drop(listener);
    assert!(runtime.files().is_empty());
    ring_doorbell(server.socket.as_fd()).expect("the peer is there");
    assert_eq!(drain_doorbell(client.socket.as_fd()), Ok(Drained::Rung(1)));
}

#[tokio::test]
async fn an_address_in_use_is_refused_and_the_other_server_named() {
    let runtime = Runtime::new();
    let listener = runtime.listen("nowire:taken");
    let both = [parse("nowire:free"), parse("nowire:taken")];
    match Listener::bind(&both, runtime.listen_options()) {
        Err(ListenError::InUse { pid, address, .. }) => {
            assert_eq!(
                (pid, address),
                (Some(std::process::id()), parse("nowire:taken"))
            );
        }
        other => panic!("{other:?}"),
    }
    // Neither is left half announced, and the first server is unharmed.
    assert_eq!(runtime.files(), ["name-taken.lock", "name-taken.sock"]);
    both_meet(&runtime, &listener, "nowire:taken").await;
}

#[tokio::test]
async fn addresses_nobody_can_be_at_are_refused_on_both_sides() {
    let runtime = Runtime::new();
    for address in [
        Address::Name("../up".into()),
        parse("127.0.0.1:1").with_port(0),
    ] {
        let listened = Listener::bind(std::slice::from_ref(&address), runtime.listen_options());
        assert!(
            matches!(listened, Err(ListenError::Address(_))),
            "{listened:?}"
        );
        let connected = meet(&address, runtime.connect_options()).await;
        assert!(
            matches!(connected, Err(ConnectError::Address(_))),
            "{connected:?}"
        );
    }
    let none = Listener::bind(&[], runtime.listen_options());
    assert!(matches!(none, Err(ListenError::NoAddress)), "{none:?}");
}

trait WithPort {
    fn with_port(self, port: u16) -> Address;
}

impl WithPort for Address {
    fn with_port(self, port: u16) -> Address {
        match self {
            Self::Tcp(mut address) => {
                address.set_port(port);
                Self::Tcp(address)
            }
            other => other,
        }
    }
}
