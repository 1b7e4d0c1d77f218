//! What a client has sealed is read where it lies, and what it only says to have
//! sealed is not.

use nowire_memory::heap::PAGE_BYTES;
use nowire_protocol::frame::{Frame, Message, MessageKind, StreamId};
use nowire_protocol::ring::Control;
use nowire_testkit::native::{code_of, forged};
use nowire_testkit::{HostilePeer, House, Program};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::scene::HONEST;

const PAGE: u32 = 1000;

/// What every segment must have.
const SEALABLE: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

/// A server of its own process, which has a client's heap where the client has
/// it, and such a client.
struct Scene {
    subject: Program,
    peer: HostilePeer,
    calls: u32,
    // Dropped last: the others use it.
    _house: House,
}

impl Scene {
    fn new() -> Self {
        let house = House::new();
        let dir = house.dir().to_str().expect("a readable path");
        let arguments = [
            "--runtime-dir",
            dir,
            "serve-native",
            HONEST,
            "--keeping",
            "seal",
        ];
        let subject = Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments);
        subject.line("serving");
        let address = HONEST.parse().expect("an address");
        let peer = HostilePeer::connect_native(&address, house.dir());
        let peer = house.runtime().block_on(peer).expect("it takes clients");
        Self {
            subject,
            peer,
            calls: 0,
            _house: house,
        }
    }

    /// A good thing in a memory file without seals, and where it is to lie.
    fn thing(&self) -> (OwnedFd, [u64; 4], u32) {
        let base = self.peer.heaps().own.base() + u64::from(PAGE) * PAGE_BYTES as u64;
        let (bytes, root) = forged(base);
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("hostile", flags).expect("a memory file");
        let mut page = bytes.clone();
        page.resize(PAGE_BYTES, 0);
        assert_eq!(rustix::io::pwrite(&file, &page, 0), Ok(PAGE_BYTES));
        (file, root, bytes.len() as u32)
    }

    fn announce(&mut self, file: &OwnedFd) {
        assert!(self.peer.hand_over(file.as_fd()));
        let segment = Control::Segment {
            page: PAGE,
            pages: 1,
        };
        self.peer.send_control(segment).expect("the server is well");
    }

    /// Has the server keep what lies in the segment; whether it does so in place.
    fn keep(&mut self, root: [u64; 4], bytes: u32) -> bool {
        self.calls += 1;
        let call = Message {
            stream: StreamId {
                index: 0,
                call: self.calls,
            },
            flags: 0,
            code: code_of("keep"),
            timeout_us: 0,
            page: PAGE,
            bytes,
            inline: root,
        };
        let sent = self.peer.send_message(MessageKind::Call, &call);
        sent.expect("the server is well");
        let taken = self
            .peer
            .take_until(|frame| matches!(frame, Frame::Reply(_)))
            .expect("a reply");
        match taken.frame {
            Frame::Reply(reply) => {
                assert!(!reply.has(Message::FAILED), "it is a good thing");
                reply.has(Message::KEPT)
            }
            _ => unreachable!("nothing else was waited for"),
        }
    }

    fn assert_seen(&mut self, things: u32) {
        assert_eq!(self.subject.ask("seen"), format!("{things} 0"));
        assert_eq!(self.subject.ask("panics"), "0");
        assert_eq!(self.subject.ask("misbehaved"), "0");
    }
}

fn seal(file: &OwnedFd, seals: SealFlags) {
    rustix::fs::fcntl_add_seals(file, seals).expect("it can be sealed");
}

#[test]
fn what_was_sealed_is_kept_in_place_and_cannot_be_changed() {
    let mut scene = Scene::new();
    let (file, root, bytes) = scene.thing();
    seal(&file, SEALABLE | SealFlags::WRITE | SealFlags::SEAL);
    scene.announce(&file);
    assert!(scene.keep(root, bytes), "sealed, and read in place");
    assert_eq!(rustix::io::pwrite(&file, &[0xff], 0), Err(Errno::PERM));
    assert!(rustix::fs::ftruncate(&file, 0).is_err());
    assert!(
        rustix::fs::fcntl_add_seals(&file, SealFlags::empty()).is_err(),
        "the seals are sealed"
    );
    assert!(scene.keep(root, bytes), "as it was");
    scene.assert_seen(2);
}

#[test]
fn what_is_sealed_after_it_was_announced_is_kept_in_place_from_then_on() {
    let mut scene = Scene::new();
    let (file, root, bytes) = scene.thing();
    seal(&file, SEALABLE);
    scene.announce(&file);
    assert!(!scene.keep(root, bytes), "a seal that is not set");
    seal(&file, SealFlags::WRITE);
    assert!(scene.keep(root, bytes), "sealed");
    scene.assert_seen(2);
}

#[test]
fn what_can_never_be_sealed_is_copied() {
    let mut scene = Scene::new();
    let (file, root, bytes) = scene.thing();
    seal(&file, SEALABLE | SealFlags::SEAL);
    assert_eq!(
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE),
        Err(Errno::PERM)
    );
    scene.announce(&file);
    assert!(!scene.keep(root, bytes));
    assert!(!scene.keep(root, bytes));
    scene.assert_seen(2);
}
