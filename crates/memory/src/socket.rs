//! The control socket: a Unix stream socket between two processes that share
//! segments.
//!
//! It carries the handshake with its descriptors, then doorbells and the
//! descriptors of further segments; its hang-up is the peer's death. The doorbell is this socket and not an
//! eventfd, because an eventfd's `O_NONBLOCK` and counter are shared with the
//! peer: it could clear the one or fill the other, and so block whoever rings.
//! `MSG_DONTWAIT` belongs to each call and cannot be taken away.
//!
//! Every socket made here is non-blocking and closed on exec; no call raises
//! `SIGPIPE`.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::path::Path;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{self, Mode};
use rustix::io::{self, Errno};
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::sys::credentials;

/// Most descriptors that go with one message.
pub const DESCRIPTORS_LIMIT: usize = 4;

/// Longest path, in bytes, that a Unix socket can be bound or connected to. (Linux
/// needs no NUL at its end.)
pub const PATH_LIMIT_BYTES: usize = 108;

/// The process at the other end of a Unix socket, as the kernel knows it: who
/// connected, or, seen from the client, who listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its process id; 0 when it lives in a pid namespace unseen from here.
    pub pid: u32,
    /// Its effective user id when it connected or began to listen.
    pub uid: u32,
    /// Its effective group id then.
    pub gid: u32,
}

/// What [`recv_with_descriptors`] took from the socket.
#[derive(Debug)]
pub struct Received {
    /// Bytes received; 0 means that the peer hung up.
    pub bytes: usize,
    /// Descriptors that came with them, closed on exec.
    pub descriptors: Vec<OwnedFd>,
    /// More descriptors came than were asked for; those are closed.
    pub surplus: bool,
}

/// The byte to which [`hand_over`] attaches its descriptor. All others are mere
/// doorbells.
const DESCRIPTOR: u8 = 2;

/// What [`answer_doorbell`] took off the socket.
#[derive(Debug, Default)]
pub struct Answered {
    /// How often it was rung, descriptors included; 0 means that the peer hung up.
    pub rung: usize,
    /// Descriptors that came before `descriptor` and were lost, because this
    /// process had no number free for them; or that never were.
    pub lost: usize,
    /// A descriptor that was handed over, closed on exec.
    pub descriptor: Option<OwnedFd>,
    /// There was a descriptor where none may be; it is closed.
    pub surplus: bool,
}

/// What [`drain_doorbell`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// It was rung, this many times at least.
    Rung(usize),
    /// Nothing; the peer is still there.
    Empty,
    /// The peer closed the socket, or died.
    HungUp,
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// A socket bound to `path`, which it creates, for its owner alone (mode 0600);
/// not listening yet.
///
/// # Errors
/// What `socket` or `bind` say; a path of more than [`PATH_LIMIT_BYTES`] is
/// `ENAMETOOLONG`, one that exists `EADDRINUSE`.
pub fn bind(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = unix_socket()?;
    // The file takes over the mode of the socket: it is never open to others.
    fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    net::bind(&socket, &address)?;
    Ok(socket)
}

/// Lets clients connect; `backlog` of them may wait to be accepted.
///
/// # Errors
/// What `listen` says.
pub fn listen(socket: BorrowedFd<'_>, backlog: i32) -> io::Result<()> {
    net::listen(socket, backlog)
}

/// Takes the next client.
///
/// # Errors
/// `EAGAIN` when none waits, `EMFILE` or `ENFILE` when descriptors ran out.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    net::accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
}

/// Connects to whoever listens at `path`.
///
/// # Errors
/// `ENOENT` when there is no socket, `ECONNREFUSED` when nobody listens any
/// more, `EAGAIN` when too many wait already, `EACCES` when not allowed.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = unix_socket()?;
    net::connect(&socket, &address)?;
    Ok(socket)
}

/// Who is at the other end.
///
/// # Errors
/// What `getsockopt(SO_PEERCRED)` says.
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let (pid, uid, gid) = credentials::of_peer(socket)?;
    Ok(Credentials { pid, uid, gid })
}

/// The supplementary groups of the process at the other end, as of when it
/// connected or began to listen.
///
/// # Errors
/// What `getsockopt(SO_PEERGROUPS)` says; `ENOPROTOOPT` before Linux 4.13.
pub fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    credentials::groups_of_peer(socket)
}

/// Sends `bytes`, with `descriptors` attached to the first of them. Returns how
/// many bytes went; the descriptors went if that is more than none.
///
/// # Errors
/// `EAGAIN` when the socket is full, `EPIPE` when the peer is gone, `EINVAL` for
/// more than [`DESCRIPTORS_LIMIT`] descriptors.
pub fn send_with_descriptors(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    if descriptors.len() > DESCRIPTORS_LIMIT {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        let pushed = control.push(SendAncillaryMessage::ScmRights(descriptors));
        debug_assert!(
            pushed,
            "the buffer has room for {DESCRIPTORS_LIMIT} descriptors"
        );
    }
    retry(|| net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags))
}

/// Receives into `buffer`, together with at most `limit` descriptors; `limit`
/// itself is at most [`DESCRIPTORS_LIMIT`].
///
/// # Errors
/// `EAGAIN` when nothing has come, `ECONNRESET` when the peer is gone.
pub fn recv_with_descriptors(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    limit: usize,
) -> io::Result<Received> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message =
        retry(|| net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags))?;
    let mut received = Received {
        bytes: message.bytes,
        descriptors: Vec::new(),
        surplus: message.flags.contains(ReturnFlags::CTRUNC),
    };
    for attached in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = attached {
            for descriptor in descriptors {
                if received.descriptors.len() < limit {
                    received.descriptors.push(descriptor);
                } else {
                    received.surplus = true;
                }
            }
        }
    }
    Ok(received)
}

/// Wakes the peer, which waits for `socket` to become readable. Never blocks:
/// when the socket is full the peer has been rung often enough.
///
/// # Errors
/// `EPIPE` or `ECONNRESET` when the peer is gone.
pub fn ring_doorbell(socket: BorrowedFd<'_>) -> io::Result<()> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match retry(|| net::send(socket, &[1], flags)) {
        Ok(_) | Err(Errno::AGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Hands a descriptor over to the peer, which wakes it as a doorbell does. Never
/// blocks.
///
/// # Errors
/// `EAGAIN` when the socket is full, `ETOOMANYREFS` when this user has as many
/// descriptors on their way as the limit allows, `EPIPE` or `ECONNRESET` when the
/// peer is gone.
pub fn hand_over(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    send_with_descriptors(socket, &[DESCRIPTOR], &[descriptor]).map(drop)
}

/// Takes doorbells and at most one descriptor off the socket; never blocks. To be
/// called again before waiting, until it says `EAGAIN`.
///
/// # Errors
/// `EAGAIN` when nothing has come; what `recvmsg` says, apart from a hang-up.
pub fn answer_doorbell(socket: BorrowedFd<'_>) -> io::Result<Answered> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut bytes = [0; 256];
    // One more than may come, to see that it did.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry(|| {
        net::recvmsg(
            socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        )
    });
    let rung = match received {
        Ok(message) => message.bytes,
        Err(Errno::CONNRESET | Errno::PIPE) => return Ok(Answered::default()),
        Err(error) => return Err(error),
    };
    let bytes = &bytes[..rung];
    let mut answered = Answered {
        rung,
        // The kernel hands out no byte behind one with descriptors, so one that
        // is there belongs to the last.
        lost: bytes.iter().filter(|byte| **byte == DESCRIPTOR).count(),
        ..Answered::default()
    };
    for attached in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = attached {
            for descriptor in descriptors {
                if bytes.last() == Some(&DESCRIPTOR) && answered.descriptor.is_none() {
                    answered.descriptor = Some(descriptor);
                    answered.lost -= 1;
                } else {
                    answered.surplus = true;
                }
            }
        }
    }
    Ok(answered)
}

/// Takes what was rung, up to 1024 times; never blocks. To be called again
/// before waiting, unless it says [`Drained::Empty`].
///
/// # Errors
/// What `recv` says, apart from what [`Drained`] tells.
pub fn drain_doorbell(socket: BorrowedFd<'_>) -> io::Result<Drained> {
    let mut rung = [0; 1024];
    match retry(|| net::recv(socket, &mut rung, RecvFlags::DONTWAIT)) {
        Ok((0, _)) | Err(Errno::CONNRESET | Errno::PIPE) => Ok(Drained::HungUp),
        Ok((bytes, _)) => Ok(Drained::Rung(bytes)),
        Err(Errno::AGAIN) => Ok(Drained::Empty),
        Err(error) => Err(error),
    }
}

/// A pair of connected control sockets, for tests and for children that inherit
/// one end.
///
/// # Errors
/// What `socketpair` says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
