//! Connections that are over leave nothing behind. Alone in its program, as it
//! counts what the whole process has.

mod common;

use common::{Runtime, both_meet};
use nowire_memory::socket;
use rustix::fd::AsFd;

/// Descriptors and shared-memory mappings of this process.
fn held() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd")
        .expect("own descriptors")
        .count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("own mappings");
    (
        descriptors,
        maps.lines().filter(|line| line.contains("memfd:")).count(),
    )
}

#[tokio::test]
async fn connections_leave_neither_descriptors_nor_memory() {
    let runtime = Runtime::new();
    let before_all = held();
    let listener = runtime.listen("nowire:leaks");
    let (client, server) = both_meet(&runtime, &listener, "nowire:leaks").await;
    // A connection takes a socket and two mappings on each side.
    let one = held();
    drop((client, server));
    let before = held();
    assert_eq!((one.0 - before.0, one.1 - before.1), (2, 4));

    let path = runtime.path().join("name-leaks.sock");
    for round in 0..100 {
        let (client, server) = both_meet(&runtime, &listener, "nowire:leaks").await;
        if round % 2 == 0 {
            drop(client);
            drop(server);
        } else {
            drop(server);
            drop(client);
        }
        // One that leaves at once, and one that is refused with its descriptor.
        drop(socket::connect(&path).expect("the server listens"));
        let rude = socket::connect(&path).expect("the server listens");
        let file = std::fs::File::open("/dev/null").expect("the null device");
        let sent = socket::send_with_descriptors(rude.as_fd(), &[0; 64], &[file.as_fd(); 4]);
        assert_eq!(sent, Ok(64));
        assert!(runtime.meet("nowire:nobody").await.is_err());
    }
    let (client, server) = both_meet(&runtime, &listener, "nowire:leaks").await;
    drop((client, server));
    assert_eq!(held(), before);
    assert_eq!(listener.usage().connections, 0);
    drop(listener);
    assert_eq!(held().1, before_all.1);
    assert!(runtime.files().is_empty());
}
