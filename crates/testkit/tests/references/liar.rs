//! A client that shakes hands with a depot and then sends what it likes.

use nowire::{ConnectOptions, StreamId};
use nowire_protocol::frame::{Extent, Frame, Parts};
use nowire_protocol::ring::Outgoing;
use nowire_testkit::depot::Receipt;
use nowire_testkit::{Failure, HostilePeer, House, Taken, message, request_to};
use prost::Message;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::scene::{DEPOT, PATIENCE};

/// What every segment must have.
pub(crate) const SEALABLE: SealFlags = SealFlags::FUTURE_WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW);

pub(crate) struct Liar {
    pub(crate) peer: HostilePeer,
    calls: u32,
    numbers: u64,
}

/// What came as the answer to a call.
pub(crate) struct Answer {
    pub(crate) extents: Vec<Extent>,
    pub(crate) data: Vec<u8>,
}

impl Liar {
    pub(crate) fn connect(house: &House, window_bytes: u32) -> Self {
        let options = ConnectOptions {
            runtime_dir: Some(house.dir().to_owned()),
            timeout: PATIENCE,
            window_bytes,
            ..ConnectOptions::default()
        };
        let address = DEPOT.parse().expect("an address");
        let peer = HostilePeer::connect_with(&address, options);
        let peer = house.runtime().block_on(peer).expect("it takes clients");
        Self::new(peer)
    }

    pub(crate) fn new(peer: HostilePeer) -> Self {
        Self {
            peer,
            calls: 0,
            numbers: 0,
        }
    }

    /// The stream of the next call.
    pub(crate) fn stream(&mut self) -> StreamId {
        self.calls += 1;
        StreamId {
            index: (self.calls - 1) % 64,
            call: (self.calls - 1) / 64 + 1,
        }
    }

    /// A number that no reference has had.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Opens a call with one message, which ends it.
    pub(crate) fn begin(
        &mut self,
        stream: StreamId,
        method: &str,
        parcel: &[u8],
    ) -> Result<(), Failure> {
        let head = request_to(format!("/nowire.testkit.Depot/{method}").as_bytes());
        let data = message(parcel);
        let parts = Outgoing {
            head: Some(&head),
            data: Some(&data),
            end: true,
            ..Outgoing::default()
        };
        self.peer.send(stream, &parts)
    }

    /// Everything that comes on a stream, up to its end.
    pub(crate) fn answer(&mut self, stream: StreamId) -> Answer {
        let mut answer = Answer {
            extents: Vec::new(),
            data: Vec::new(),
        };
        loop {
            let of_it = |frame: &Frame| match frame {
                Frame::Parts(parts) => parts.stream == stream,
                Frame::Extent(extent) => extent.stream == stream,
                Frame::Reset { stream: reset, .. } => *reset == stream,
                _ => false,
            };
            let taken = self.peer.take_until(of_it).expect("an answer");
            let Taken { frame, payload } = taken;
            match frame {
                Frame::Extent(extent) => answer.extents.push(extent),
                Frame::Parts(parts) => {
                    answer.data.extend(data_of(&parts, &payload));
                    if parts.end {
                        return answer;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Passes a segment, all of it, and a parcel with its token; begins a call.
    pub(crate) fn pass(
        &mut self,
        method: &str,
        seed: u64,
        segment: &impl AsFd,
        bytes: u64,
    ) -> StreamId {
        let (stream, number) = (self.stream(), self.number());
        assert!(self.peer.hand_over(segment.as_fd()));
        let extent = whole(stream, number, bytes);
        self.peer.send_extent(extent).expect("the depot is well");
        let parcel = parcel(seed, &self.token(number));
        self.begin(stream, method, &parcel)
            .expect("the depot is well");
        stream
    }

    /// The token of a reference that was passed.
    pub(crate) fn token(&self, number: u64) -> Vec<u8> {
        let (_, depot) = self.peer.references();
        [&depot.key[..], &number.to_le_bytes()].concat()
    }

    /// Has the depot look at a segment.
    pub(crate) fn store(&mut self, seed: u64, segment: &impl AsFd, bytes: u64) -> Receipt {
        let stream = self.pass("Store", seed, segment, bytes);
        self.receipt(stream)
    }

    /// Has the depot look at what a token stands for.
    pub(crate) fn store_token(&mut self, token: &[u8]) -> Receipt {
        let stream = self.stream();
        let parcel = parcel(0, token);
        self.begin(stream, "Store", &parcel)
            .expect("the depot is well");
        self.receipt(stream)
    }

    /// Asks something that needs no message.
    pub(crate) fn ask(&mut self, method: &str) -> Receipt {
        let stream = self.stream();
        self.begin(stream, method, &[]).expect("the depot is well");
        self.receipt(stream)
    }

    pub(crate) fn receipt(&mut self, stream: StreamId) -> Receipt {
        let data = self.answer(stream).data;
        assert!(data.len() >= 5, "a receipt, not a failure");
        Receipt::decode(&data[5..]).expect("a receipt")
    }
}

fn data_of(parts: &Parts, payload: &[u8]) -> Vec<u8> {
    let head = parts.head_bytes.unwrap_or(0) as usize;
    let data = parts.data_bytes.unwrap_or(0) as usize;
    payload[head..head + data].to_vec()
}

/// An extent that names all of a segment.
pub(crate) fn whole(stream: StreamId, number: u64, bytes: u64) -> Extent {
    Extent {
        stream,
        number,
        more: false,
        whole: true,
        descriptor: 0,
        offset_bytes: 0,
        bytes,
        segment_bytes: bytes,
    }
}

/// A parcel whose content is what a token stands for.
pub(crate) fn parcel(seed: u64, token: &[u8]) -> Vec<u8> {
    let blob = [&[0x12, token.len() as u8][..], token].concat();
    let mut parcel = vec![0x08];
    prost::encoding::encode_varint(seed, &mut parcel);
    parcel.extend([0x12, blob.len() as u8]);
    parcel.extend(blob);
    parcel
}

/// A memory file with these bytes, and seals.
pub(crate) fn memory(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("hostile", flags).expect("a memory file");
    assert_eq!(rustix::io::pwrite(&file, bytes, 0), Ok(bytes.len()));
    rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
    file
}
