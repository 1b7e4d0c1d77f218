//! Descriptors, credentials and doorbells over a control socket.

use std::path::Path;

use nowire_memory::socket::{self, Drained};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

fn descriptors(count: usize) -> Vec<OwnedFd> {
    let null = || std::fs::File::open("/dev/null").expect("the null device");
    (0..count).map(|_| OwnedFd::from(null())).collect()
}

#[test]
fn descriptors_arrive_with_their_bytes_and_close_on_exec() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    let files = descriptors(2);
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    assert_eq!(
        socket::send_with_descriptors(a.as_fd(), b"abc", &files),
        Ok(3)
    );
    let mut buffer = [0; 8];
    let received = socket::recv_with_descriptors(b.as_fd(), &mut buffer, 4).expect("a message");
    assert_eq!(
        (received.bytes, &buffer[..3], received.surplus),
        (3, &b"abc"[..], false)
    );
    assert_eq!(received.descriptors.len(), 2);
    for descriptor in received.descriptors {
        let flags = rustix::io::fcntl_getfd(&descriptor).expect("an open descriptor");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}

#[test]
fn surplus_descriptors_are_closed_and_told() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    let files = descriptors(4);
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    assert_eq!(
        socket::send_with_descriptors(a.as_fd(), b"x", &files),
        Ok(1)
    );
    let received = socket::recv_with_descriptors(b.as_fd(), &mut [0; 8], 1).expect("a message");
    assert_eq!((received.descriptors.len(), received.surplus), (1, true));
}

#[test]
fn more_descriptors_than_the_limit_are_not_sent() {
    let (a, _b) = socket::pair().expect("a pair of sockets");
    let files = descriptors(5);
    let files: Vec<_> = files.iter().map(AsFd::as_fd).collect();
    assert_eq!(
        socket::send_with_descriptors(a.as_fd(), b"x", &files),
        Err(Errno::INVAL)
    );
}

#[test]
fn a_doorbell_rung_without_end_never_blocks() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    assert_eq!(socket::drain_doorbell(b.as_fd()), Ok(Drained::Empty));
    for _ in 0..100_000 {
        assert_eq!(socket::ring_doorbell(a.as_fd()), Ok(()));
    }
    let first = socket::drain_doorbell(b.as_fd());
    assert!(matches!(first, Ok(Drained::Rung(1..))), "{first:?}");
    while let Ok(Drained::Rung(_)) = socket::drain_doorbell(b.as_fd()) {}
    assert_eq!(socket::drain_doorbell(b.as_fd()), Ok(Drained::Empty));
}

#[test]
fn a_doorbell_works_whatever_the_peer_does_to_its_descriptor() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    let shared = a.try_clone().expect("the same open file");
    rustix::fs::fcntl_setfl(&shared, rustix::fs::OFlags::empty()).expect("O_NONBLOCK cleared");
    for _ in 0..10_000 {
        assert_eq!(socket::ring_doorbell(a.as_fd()), Ok(()));
    }
    assert_eq!(socket::drain_doorbell(a.as_fd()), Ok(Drained::Empty));
    drop(b);
}

#[test]
fn a_peer_that_is_gone_is_noticed_by_both_doorbell_calls() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    assert_eq!(socket::ring_doorbell(a.as_fd()), Ok(()));
    drop(b);
    assert_eq!(socket::drain_doorbell(a.as_fd()), Ok(Drained::HungUp));
    assert_eq!(socket::ring_doorbell(a.as_fd()), Err(Errno::PIPE));
}

#[test]
fn what_was_rung_before_the_peer_left_is_seen_first() {
    let (a, b) = socket::pair().expect("a pair of sockets");
    assert_eq!(socket::ring_doorbell(b.as_fd()), Ok(()));
    drop(b);
    assert_eq!(socket::drain_doorbell(a.as_fd()), Ok(Drained::Rung(1)));
    assert_eq!(socket::drain_doorbell(a.as_fd()), Ok(Drained::HungUp));
}

#[test]
fn both_ends_learn_who_the_other_is() {
    let folder = std::env::temp_dir().join(format!("nowire-sockets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the socket");
    let path = folder.join("s");
    let listener = socket::bind(&path).expect("a socket file");
    assert_eq!(
        socket::connect(&path).map(drop),
        Err(Errno::CONNREFUSED),
        "not listening yet"
    );
    let mode = rustix::fs::stat(&path).expect("the socket file").st_mode;
    assert_eq!(mode & 0o777, 0o600, "whatever the umask");
    socket::listen(listener.as_fd(), 8).expect("listening");
    assert_eq!(
        socket::accept(listener.as_fd()).map(drop),
        Err(Errno::AGAIN)
    );
    let client = socket::connect(&path).expect("connected");
    let server = socket::accept(listener.as_fd()).expect("a client waits");
    for end in [client.as_fd(), server.as_fd()] {
        let peer = socket::peer_credentials(end).expect("credentials");
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid, rustix::process::getegid().as_raw());
        let groups = rustix::process::getgroups().expect("own groups");
        let groups: Vec<u32> = groups.into_iter().map(|group| group.as_raw()).collect();
        assert_eq!(socket::peer_groups(end), Ok(groups));
    }
    assert_eq!(socket::bind(&path).map(drop), Err(Errno::ADDRINUSE));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
}

#[test]
fn a_path_too_long_for_a_socket_is_refused() {
    let long = "x".repeat(socket::PATH_LIMIT_BYTES + 1);
    assert_eq!(
        socket::bind(Path::new(&long)).map(drop),
        Err(Errno::NAMETOOLONG)
    );
    assert_eq!(
        socket::connect(Path::new(&long)).map(drop),
        Err(Errno::NAMETOOLONG)
    );
}
