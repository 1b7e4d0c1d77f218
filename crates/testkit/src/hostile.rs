use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nowire::{
    AcceptError, Address, ConnectError, ConnectOptions, HeapOptions, Heaps, Listener, Met, Peer,
};
use nowire_memory::heap::Run;
use nowire_memory::socket;
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::PeerMisbehaved;
use nowire_protocol::bell::Ringer;
use nowire_protocol::frame::{
    Extent, FLAG_INLINE, Frame, KIND_PARTS, Message, MessageKind, StreamId,
};
use nowire_protocol::geometry::{
    CURSOR_OFFSET, Geometry, RING_OFFSET, SLEEPING_OFFSET, SLOT_BYTES, WANTS_ROOM_OFFSET,
};
use nowire_protocol::handshake::ReferenceOffer;
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::{Consumer, Control, Outgoing, Producer};
use nowire_protocol::stream::Side;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

use crate::draft::Draft;

/// How long the honest side may take for anything at all.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_micros(200);

/// A peer that holds a real handshake and may then do what it likes.
///
/// Frames begin honest, as a [`Draft`], and can be made worse before they are
/// [posted](Self::post). What it reads it reads honestly, unless told to
/// [freeze](Self::freeze).
#[derive(Debug)]
pub struct HostilePeer {
    side: Side,
    socket: OwnedFd,
    outbox: Arc<OwnedSegment>,
    inbox: PeerSegment,
    peer: Peer,
    streams: u32,
    window_bytes: u32,
    producer: Producer,
    /// The ring as an honest outbox would have it; drafts are copied from here.
    draft: PrivateMemory,
    consumer: Consumer,
    /// Takes the cursor while the real one is frozen.
    hidden: PrivateMemory,
    frozen: bool,
    bell: Ringer,
    room_bell: Ringer,
    heaps: Option<Heaps>,
    /// Its own, and the honest side's.
    references: Option<(ReferenceOffer, ReferenceOffer)>,
    /// What the honest side handed over.
    handed: Mutex<Vec<OwnedFd>>,
    /// Runs of its heap that are in use until it is gone.
    pub(crate) runs: Vec<Arc<Run>>,
}

/// Why the hostile peer could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The honest side hung up.
    #[error("the honest side hung up")]
    HungUp,
    /// The honest side did not do in time what it was waited for.
    #[error("the honest side did not {0} in time")]
    Patience(&'static str),
    /// The honest side lied: a defect of the code under test.
    #[error("the honest side lied: {0}")]
    Lied(#[from] PeerMisbehaved),
}

/// A frame taken from the honest side, with its payload.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The frame.
    pub frame: Frame,
    /// Header block, data and trailer block, one after another.
    pub payload: Vec<u8>,
}

impl HostilePeer {
    /// Meets an honest server.
    ///
    /// # Errors
    /// As `nowire::meet`.
    pub async fn connect(address: &Address, runtime_dir: &Path) -> Result<Self, ConnectError> {
        let options = ConnectOptions {
            runtime_dir: Some(runtime_dir.to_owned()),
            timeout: PATIENCE,
            user_agent: "hostile".to_owned(),
            ..ConnectOptions::default()
        };
        let met = nowire::meet(address, options).await?;
        Ok(Self::new(Side::Client, met))
    }

    /// Meets an honest server as `options` say.
    ///
    /// # Errors
    /// As `nowire::meet`.
    pub async fn connect_with(
        address: &Address,
        options: ConnectOptions,
    ) -> Result<Self, ConnectError> {
        let met = nowire::meet(address, options).await?;
        Ok(Self::new(Side::Client, met))
    }

    /// Meets an honest server of native calls.
    ///
    /// # Errors
    /// As `nowire::meet`.
    pub async fn connect_native(
        address: &Address,
        runtime_dir: &Path,
    ) -> Result<Self, ConnectError> {
        let options = ConnectOptions {
            runtime_dir: Some(runtime_dir.to_owned()),
            timeout: PATIENCE,
            user_agent: "hostile".to_owned(),
            heap: Some(HeapOptions::default()),
            ..ConnectOptions::default()
        };
        let met = nowire::meet(address, options).await?;
        Ok(Self::new(Side::Client, met))
    }

    /// Meets the next honest client.
    ///
    /// # Errors
    /// As [`Listener::accept`].
    pub async fn accept(listener: &Listener) -> Result<Self, AcceptError> {
        Ok(Self::new(Side::Server, listener.accept().await?))
    }

    /// One that has shaken hands by itself, over `socket`, without heaps and
    /// references.
    pub fn by_hand(
        side: Side,
        socket: OwnedFd,
        (outbox, outbox_geometry): (OwnedSegment, Geometry),
        (inbox, inbox_geometry): (PeerSegment, Geometry),
        (streams, window_bytes): (u32, u32),
    ) -> Self {
        Self {
            side,
            references: None,
            handed: Mutex::default(),
            producer: Producer::new(outbox_geometry),
            draft: PrivateMemory::zeroed(outbox_geometry.outbox_bytes()),
            consumer: Consumer::new(inbox_geometry),
            hidden: PrivateMemory::zeroed(RING_OFFSET),
            frozen: false,
            bell: Ringer::new(SLEEPING_OFFSET),
            room_bell: Ringer::new(WANTS_ROOM_OFFSET),
            socket,
            outbox: Arc::new(outbox),
            inbox,
            peer: Peer {
                pid: 0,
                uid: 0,
                gid: 0,
                label: String::new(),
            },
            streams,
            window_bytes,
            heaps: None,
            runs: Vec::new(),
        }
    }

    fn new(side: Side, met: Met) -> Self {
        Self {
            side,
            references: met.reference_offers(),
            handed: Mutex::default(),
            producer: Producer::new(met.outbox_geometry),
            draft: PrivateMemory::zeroed(met.outbox_geometry.outbox_bytes()),
            consumer: Consumer::new(met.inbox_geometry),
            hidden: PrivateMemory::zeroed(RING_OFFSET),
            frozen: false,
            bell: Ringer::new(SLEEPING_OFFSET),
            room_bell: Ringer::new(WANTS_ROOM_OFFSET),
            socket: met.socket,
            outbox: Arc::new(met.outbox),
            inbox: met.inbox,
            peer: met.peer,
            streams: met.streams,
            window_bytes: met.send_window_bytes,
            heaps: met.heaps,
            runs: Vec::new(),
        }
    }

    /// Which side it plays.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The honest process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Shape of its own outbox.
    pub fn geometry(&self) -> Geometry {
        self.producer.geometry()
    }

    /// Shape of the honest side's outbox.
    pub fn inbox_geometry(&self) -> Geometry {
        self.consumer.geometry()
    }

    /// Streams that the handshake allows.
    pub fn streams(&self) -> u32 {
        self.streams
    }

    /// Bytes of data that the honest side granted each stream.
    pub fn window_bytes(&self) -> u32 {
        self.window_bytes
    }

    /// Its heap and that of the honest side.
    ///
    /// # Panics
    /// On a connection without native calls.
    pub fn heaps(&self) -> &Heaps {
        self.heaps.as_ref().expect("native calls")
    }

    /// What it said of references itself, and what the honest side said: their
    /// keys make tokens.
    ///
    /// # Panics
    /// On a connection without references.
    pub fn references(&self) -> (ReferenceOffer, ReferenceOffer) {
        self.references.expect("references")
    }

    /// The descriptors that the honest side has handed over so far, taken once.
    pub fn take_descriptors(&self) -> Vec<OwnedFd> {
        // As a side effect, takes in what has come.
        self.is_cut_off();
        std::mem::take(&mut *self.handed())
    }

    fn handed(&self) -> std::sync::MutexGuard<'_, Vec<OwnedFd>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a descriptor over, as one of a segment; false if the socket is full or
    /// the honest side gone.
    pub fn hand_over(&self, descriptor: BorrowedFd<'_>) -> bool {
        socket::hand_over(self.socket.as_fd(), descriptor).is_ok()
    }

    /// The next frame, an extent, honest so far. Waits for room in the ring.
    ///
    /// # Errors
    /// If the honest side hung up, made no room or lied.
    pub fn draft_extent(&mut self, extent: Extent) -> Result<Draft, Failure> {
        self.wait("make room", |peer| {
            let slot = peer.next_slot();
            let extents = std::iter::once(extent);
            let there = peer
                .producer
                .push_extents(&peer.draft, &peer.inbox, extents)?;
            Ok(there.then(|| peer.draft_at(slot)))
        })
    }

    /// Sends an extent.
    ///
    /// # Errors
    /// As [`draft_extent`](Self::draft_extent).
    pub fn send_extent(&mut self, extent: Extent) -> Result<(), Failure> {
        let draft = self.draft_extent(extent)?;
        self.post(&draft);
        self.wake();
        Ok(())
    }

    /// Frames drafted so far.
    pub fn drafted(&self) -> u64 {
        self.producer.sent()
    }

    /// Its own outbox, to store anything anywhere.
    pub fn outbox(&self) -> Arc<OwnedSegment> {
        Arc::clone(&self.outbox)
    }

    /// The next frame, honest so far; none while the ring has no room for it.
    ///
    /// # Errors
    /// If the honest side's cursor is a lie.
    pub fn try_draft(
        &mut self,
        stream: StreamId,
        parts: &Outgoing<'_>,
    ) -> Result<Option<Draft>, Failure> {
        let slot = self.next_slot();
        let there = self
            .producer
            .push_parts(&self.draft, &self.inbox, stream, parts)?;
        Ok(there.then(|| self.draft_at(slot)))
    }

    /// The next frame, honest so far. Waits for room in the ring.
    ///
    /// # Errors
    /// If the honest side hung up, made no room or lied.
    pub fn draft(&mut self, stream: StreamId, parts: &Outgoing<'_>) -> Result<Draft, Failure> {
        self.wait("make room", |peer| peer.try_draft(stream, parts))
    }

    /// The next frame without payload, honest so far. Waits for room in the ring.
    ///
    /// # Errors
    /// If the honest side hung up, made no room or lied.
    pub fn draft_control(&mut self, control: Control) -> Result<Draft, Failure> {
        self.wait("make room", |peer| {
            let slot = peer.next_slot();
            let there = peer
                .producer
                .push_control(&peer.draft, &peer.inbox, control)?;
            Ok(there.then(|| peer.draft_at(slot)))
        })
    }

    /// The next native call, reply, or item of one, honest so far. Waits for room
    /// in the ring.
    ///
    /// # Errors
    /// If the honest side hung up, made no room or lied.
    pub fn draft_message(
        &mut self,
        kind: MessageKind,
        message: &Message,
    ) -> Result<Draft, Failure> {
        self.wait("make room", |peer| {
            let slot = peer.next_slot();
            let there = peer
                .producer
                .push_message(&peer.draft, &peer.inbox, kind, message)?;
            Ok(there.then(|| peer.draft_at(slot)))
        })
    }

    fn next_slot(&self) -> usize {
        let slots = u64::from(self.geometry().ring_slots());
        RING_OFFSET + (self.producer.sent() % slots) as usize * SLOT_BYTES
    }

    fn draft_at(&self, slot: usize) -> Draft {
        let words: [u64; 8] =
            std::array::from_fn(|i| self.draft.load(slot + i * 8, Ordering::Relaxed));
        let (kind, flags) = ((words[0] >> 32) as u8, (words[0] >> 40) as u8);
        let payload = (kind == KIND_PARTS && flags & FLAG_INLINE == 0).then(|| {
            let bytes = [words[2] >> 32, words[3] & 0xffff_ffff, words[3] >> 32];
            let at = self.geometry().data_offset() + (words[2] & 0xffff_ffff) as usize;
            let mut payload = vec![0; bytes.iter().sum::<u64>() as usize];
            self.draft.copy_out(at, &mut payload);
            (at, payload)
        });
        Draft {
            slot,
            words,
            payload,
        }
    }

    /// Stores a draft where the honest side reads it, the stamp last.
    pub fn post(&self, draft: &Draft) {
        let outbox = &*self.outbox;
        if let Some((at, payload)) = &draft.payload {
            outbox.copy_in(*at, payload);
        }
        for (i, word) in draft.words.iter().enumerate().skip(1) {
            outbox.store(draft.slot + i * 8, *word, Ordering::Relaxed);
        }
        // SYNC: pairs with the acquire load in `Consumer::peek`.
        outbox.store(draft.slot, draft.words[0], Ordering::Release);
    }

    /// Rings the doorbell if the honest side asks for it.
    pub fn wake(&mut self) {
        if self.bell.must_ring(&self.inbox) {
            self.ring(1);
        }
    }

    /// Rings the doorbell, asked for or not. False once the honest side is gone.
    pub fn ring(&self, times: usize) -> bool {
        (0..times).all(|_| socket::ring_doorbell(self.socket.as_fd()).is_ok())
    }

    /// Sends an honest frame.
    ///
    /// # Errors
    /// As [`draft`](Self::draft).
    pub fn send(&mut self, stream: StreamId, parts: &Outgoing<'_>) -> Result<(), Failure> {
        let draft = self.draft(stream, parts)?;
        self.post(&draft);
        self.wake();
        Ok(())
    }

    /// Sends an honest frame without payload.
    ///
    /// # Errors
    /// As [`draft_control`](Self::draft_control).
    pub fn send_control(&mut self, control: Control) -> Result<(), Failure> {
        let draft = self.draft_control(control)?;
        self.post(&draft);
        self.wake();
        Ok(())
    }

    /// Sends an honest native call, reply, or item of one.
    ///
    /// # Errors
    /// As [`draft_message`](Self::draft_message).
    pub fn send_message(&mut self, kind: MessageKind, message: &Message) -> Result<(), Failure> {
        let draft = self.draft_message(kind, message)?;
        self.post(&draft);
        self.wake();
        Ok(())
    }

    /// Sends bytes on the control socket, with descriptors; false if it is full
    /// or the honest side gone.
    pub fn say(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> bool {
        socket::send_with_descriptors(self.socket.as_fd(), bytes, descriptors).is_ok()
    }

    /// Takes the next frame of the honest side, if there is one.
    ///
    /// # Errors
    /// If it is not a frame.
    pub fn take(&mut self) -> Result<Option<Taken>, Failure> {
        let Some(frame) = self.consumer.peek(&self.inbox)? else {
            if !self.frozen && self.consumer.publish(&*self.outbox) {
                self.wake_for_room();
            }
            return Ok(None);
        };
        let mut payload = Vec::new();
        if let Frame::Parts(parts) = &frame {
            payload.resize(parts.payload_bytes(), 0);
            self.consumer.copy_payload(&self.inbox, parts, &mut payload);
        }
        if self.frozen {
            self.consumer.advance(&self.hidden, payload.len());
        } else {
            self.consumer.advance(&*self.outbox, payload.len());
        }
        Ok(Some(Taken { frame, payload }))
    }

    fn wake_for_room(&mut self) {
        if self.room_bell.must_ring(&self.inbox) {
            self.ring(1);
        }
    }

    /// Takes frames until one is `wanted`; the others are dropped.
    ///
    /// # Errors
    /// If the honest side hung up, sent no such frame or lied.
    pub fn take_until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Result<Taken, Failure> {
        self.take_until_within(PATIENCE, wanted)
    }

    /// As [`take_until`](Self::take_until), with less patience.
    ///
    /// # Errors
    /// As there.
    pub fn take_until_within(
        &mut self,
        patience: Duration,
        wanted: impl Fn(&Frame) -> bool,
    ) -> Result<Taken, Failure> {
        self.wait_within(patience, "send the frame", |peer| {
            while let Some(taken) = peer.take()? {
                if wanted(&taken.frame) {
                    return Ok(Some(taken));
                }
            }
            Ok(None)
        })
    }

    /// Sends a ping and waits for the answer: all that was sent before has been
    /// taken by then.
    ///
    /// # Errors
    /// As [`take_until`](Self::take_until).
    pub fn sync(&mut self) -> Result<(), Failure> {
        let token = self.producer.sent() ^ 0x5eed_0000_0000_0000;
        self.send_control(Control::Ping {
            token,
            answer: false,
        })?;
        let answer = Frame::Ping {
            token,
            answer: true,
        };
        self.take_until(|frame| *frame == answer).map(drop)
    }

    /// From now on what is taken is not shown to the honest side.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Claims to have taken `taken` frames off the honest side's ring.
    pub fn set_cursor(&self, taken: u64) {
        self.outbox.store(CURSOR_OFFSET, taken, Ordering::Release);
    }

    /// Sets the word that is odd while an honest peer waits for the doorbell.
    pub fn set_sleeping(&self, value: u64) {
        self.outbox.store(SLEEPING_OFFSET, value, Ordering::Release);
    }

    /// Sets the word that is odd while an honest peer waits for room.
    pub fn set_wants_room(&self, value: u64) {
        self.outbox
            .store(WANTS_ROOM_OFFSET, value, Ordering::Release);
    }

    /// Takes what has come on the control socket: how many descriptors, and how
    /// often the doorbell was rung without one.
    pub fn take_rings(&self) -> (usize, usize) {
        let (mut descriptors, mut bells) = (0, 0);
        while let Ok(answered) = socket::answer_doorbell(self.socket.as_fd())
            && answered.rung > 0
        {
            let handed = usize::from(answered.descriptor.is_some());
            descriptors += handed;
            bells += answered.rung - handed;
            self.handed().extend(answered.descriptor);
        }
        (descriptors, bells)
    }

    /// Whether the honest side has hung up.
    pub fn is_cut_off(&self) -> bool {
        loop {
            match socket::answer_doorbell(self.socket.as_fd()) {
                Ok(answered) if answered.rung == 0 => return true,
                Ok(answered) => self.handed().extend(answered.descriptor),
                Err(Errno::AGAIN) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Waits until the honest side hangs up.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_for_cut_off(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_cut_off() {
            if Instant::now() >= deadline {
                return Err(Failure::Patience("hang up"));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Tries until there is something, the honest side is gone or time is up.
    fn wait<T>(
        &mut self,
        what: &'static str,
        attempt: impl FnMut(&mut Self) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        self.wait_within(PATIENCE, what, attempt)
    }

    fn wait_within<T>(
        &mut self,
        patience: Duration,
        what: &'static str,
        mut attempt: impl FnMut(&mut Self) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(found) = attempt(self)? {
                return Ok(found);
            }
            if self.is_cut_off() {
                return Err(Failure::HungUp);
            }
            if Instant::now() >= deadline {
                return Err(Failure::Patience(what));
            }
            self.wake();
            std::thread::sleep(PAUSE);
        }
    }
}
