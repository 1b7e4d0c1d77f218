use std::cell::RefCell;
use std::fs::File;
use std::future::poll_fn;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::Context;
use std::time::{Duration, Instant};

use nowire::{
    Accept, Blob, ConnectOptions, Connection, ConnectionOptions, Handling, Incoming, ListenOptions,
    Listener, Met, Wait,
};
use nowire_memory::socket;
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_END, FLAG_HEAD, FLAG_MORE, FLAG_WHOLE, Frame, KIND_EXTENT, KIND_PARTS,
    KIND_PING,
};
use nowire_protocol::geometry::{Geometry, SLOT_BYTES};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::Consumer;
use prost::Message;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;

use crate::input::Input;
use crate::slot;

/// Small, so that the ring turns within one input.
const GEOMETRY: Geometry = Geometry::SMALLEST;
const NAME: &str = "references";
/// Far beyond what an honest side takes for anything here.
const PATIENCE: Duration = Duration::from_secs(5);
/// Size of the segments that are good.
const BYTES: u64 = 8192;
/// Descriptors that the server keeps.
const HELD: usize = 16;
/// Turns of the server after which it waits for something.
const TURNS: usize = 50;

/// A server of streams that opens what comes on them, and whoever meets it.
struct Host {
    runtime: tokio::runtime::Runtime,
    listener: Listener,
    dir: std::path::PathBuf,
}

fn host() -> &'static Mutex<Host> {
    static HOST: OnceLock<Mutex<Host>> = OnceLock::new();
    HOST.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("nowire-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut options = ListenOptions {
            runtime_dir: Some(dir.clone()),
            outbox: GEOMETRY,
            max_streams: 4,
            window_bytes: 32 << 10,
            ..ListenOptions::default()
        };
        options.references.held_limit = HELD;
        let address = nowire::Address::name(NAME).expect("a name");
        let listener = {
            let _inside = runtime.enter();
            Listener::bind(&[address], options).expect("the name is free")
        };
        Mutex::new(Host {
            runtime,
            listener,
            dir,
        })
    })
}

/// Reads what comes, takes it for blobs and opens them; keeps the last few.
struct Opener;

impl Accept for Opener {
    fn begin(&mut self, mut call: Incoming, _: Option<&mut Context<'_>>) -> Option<Handling> {
        Some(Box::pin(async move {
            let mut kept = Vec::new();
            while let Some(Ok(data)) = poll_fn(|cx| call.receiver.poll_data(cx)).await {
                for field in data.chunks(64) {
                    let field = &field[..field.len().min(26)];
                    let Ok(blob) = Blob::decode(field) else {
                        continue;
                    };
                    if let Ok(bytes) = blob.open() {
                        assert_eq!(bytes.len(), blob.len());
                    }
                    if let Some(reference) = blob.reference() {
                        assert!(!reference.is_empty() && reference.len() < 1 << 24);
                        let middle = reference.slice(reference.len() / 2..);
                        let mut byte = [0];
                        // It may not be what it must be.
                        let _ = middle.expect("inside").read(0, &mut byte);
                    }
                    kept.push(blob);
                }
                if kept.len() > HELD / 2 {
                    kept.clear();
                }
            }
        }))
    }
}

/// Whether the honest side is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Still {
    There,
    Gone,
}

/// A client that sends what the input says.
struct Liar {
    socket: OwnedFd,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    consumer: Consumer,
    draft: PrivateMemory,
    sent: u64,
    /// What tokens for the server begin with.
    key: [u8; 16],
    files: Rc<[OwnedFd]>,
}

/// A good segment, and others.
fn files() -> Rc<[OwnedFd]> {
    let memory = |bytes: u64, seals: SealFlags| {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("fuzz", flags).expect("a memory file");
        let written = rustix::io::pwrite(&file, &vec![7; bytes as usize], 0);
        assert_eq!(written, Ok(bytes as usize));
        rustix::fs::fcntl_add_seals(&file, seals).expect("it can be sealed");
        file
    };
    let seals = SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW;
    let sparse = memory(1, SealFlags::empty());
    rustix::fs::ftruncate(&sparse, BYTES).expect("room");
    rustix::fs::fcntl_add_seals(&sparse, seals).expect("it can be sealed");
    [
        memory(BYTES, seals),
        memory(BYTES, seals | SealFlags::WRITE),
        memory(BYTES, SealFlags::empty()),
        memory(BYTES / 2, seals),
        sparse,
        File::open("/dev/null").expect("there is one").into(),
    ]
    .into()
}

thread_local! {
    static FILES: RefCell<Option<Rc<[OwnedFd]>>> = const { RefCell::new(None) };
}

impl Liar {
    fn new(met: Met) -> Self {
        let (_, server) = met.reference_offers().expect("references");
        let files = FILES.with_borrow_mut(|made| Rc::clone(made.get_or_insert_with(files)));
        Self {
            socket: met.socket,
            outbox: met.outbox,
            inbox: met.inbox,
            consumer: Consumer::new(met.inbox_geometry),
            draft: PrivateMemory::zeroed(GEOMETRY.outbox_bytes()),
            sent: 0,
            key: server.key,
            files,
        }
    }

    async fn act(&mut self, input: &mut Input<'_>) {
        while !input.is_used_up() {
            let mut still = Still::There;
            match input.byte() % 16 {
                0 | 1 => {
                    let which = usize::from(input.byte());
                    self.hand_over(which);
                }
                2 => still = self.sync().await,
                3 => {
                    let area = GEOMETRY.data_bytes() as usize / 8;
                    let at = GEOMETRY.data_offset() + usize::from(input.short()) % area * 8;
                    self.outbox.store(at, input.long(), Ordering::Relaxed);
                }
                4..=6 => {
                    let place = usize::from(input.byte()) % 64 * 64;
                    let number = u64::from(input.byte());
                    let token = [&[0x12, 24][..], &self.key, &number.to_le_bytes()].concat();
                    self.outbox.copy_in(GEOMETRY.data_offset() + place, &token);
                }
                7 | 8 => still = self.refer(input).await,
                _ => still = self.post(input).await,
            }
            if still == Still::Gone {
                return;
            }
        }
        self.sync().await;
    }

    /// Passes a reference of a few extents, each with a descriptor of its own.
    async fn refer(&mut self, input: &mut Input<'_>) -> Still {
        let (number, call, count) = (input.byte(), input.byte() % 4, input.byte() % 6 + 1);
        for descriptor in 0..count {
            let which = input.byte();
            self.hand_over(usize::from(which));
            let more = if descriptor + 1 < count { FLAG_MORE } else { 0 };
            let whole = if which < 128 { FLAG_WHOLE } else { 0 };
            let [low, high] = (BYTES as u16).to_le_bytes();
            let lengths = [number, 0, 0, 0, 0, 16, low, high];
            let head = [KIND_EXTENT, more | whole, 0, call];
            let frame = [&head[..], &lengths, &[descriptor, 0, 0]].concat();
            if self.post(&mut Input::new(&frame)).await == Still::Gone {
                return Still::Gone;
            }
        }
        Still::There
    }

    fn hand_over(&self, which: usize) {
        let file = &self.files[which % self.files.len()];
        // Whoever is gone shows elsewhere.
        let _ = socket::hand_over(self.socket.as_fd(), file.as_fd());
    }

    /// Writes the next frame. The last of each turn of the ring asks whether all
    /// before it were taken, so that no place is written too early.
    async fn post(&mut self, input: &mut Input<'_>) -> Still {
        self.write(input);
        let slots = u64::from(GEOMETRY.ring_slots());
        if self.sent % slots == slots - 1 {
            return self.sync().await;
        }
        Still::There
    }

    fn write(&mut self, input: &mut Input<'_>) {
        slot::write(&self.draft, GEOMETRY, self.sent, input);
        let at = slot::offset_of(GEOMETRY, self.sent);
        let word = |index: usize| self.draft.load(at + index * 8, Ordering::Relaxed);
        for index in 1..SLOT_BYTES / 8 {
            self.outbox
                .store(at + index * 8, word(index), Ordering::Relaxed);
        }
        // SYNC: pairs with the acquire load in `Consumer::peek`.
        self.outbox.store(at, word(0), Ordering::Release);
        self.sent += 1;
    }

    /// Asks the honest side whether it is there, and waits. It may wait for
    /// descriptors itself, which it gets then.
    async fn sync(&mut self) -> Still {
        let token = 0x7000 + self.sent;
        let mut ping = vec![KIND_PING, 0, 0, 0];
        ping.extend((token as u16).to_le_bytes());
        self.write(&mut Input::new(&ping));
        let _ = socket::ring_doorbell(self.socket.as_fd());
        let began = Instant::now();
        let mut turns = 0;
        loop {
            while let Some(frame) = self.take() {
                if matches!(frame, Frame::Ping { token: found, .. } if found == token) {
                    return Still::There;
                }
            }
            if self.is_cut_off() {
                return Still::Gone;
            }
            turns += 1;
            if turns % TURNS == 0 {
                self.hand_over(0);
            }
            assert!(began.elapsed() < PATIENCE, "the honest side hangs");
            tokio::task::yield_now().await;
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let frame = self.consumer.peek(&self.inbox).expect("an honest frame");
        let Some(frame) = frame else {
            self.consumer.publish(&self.outbox);
            return None;
        };
        let bytes = match &frame {
            Frame::Parts(parts) => parts.payload_bytes(),
            _ => 0,
        };
        self.consumer.advance(&self.outbox, bytes);
        Some(frame)
    }

    fn is_cut_off(&self) -> bool {
        loop {
            match socket::answer_doorbell(self.socket.as_fd()) {
                Ok(answered) if answered.rung == 0 => return true,
                Ok(_) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => return true,
            }
        }
    }
}

/// Frames of streams and of references, of any kind and in any order, with
/// descriptors of good segments and of others, and tokens in the data. The server
/// takes them or cuts the client off, opens what it gets, does not hang and does
/// not panic; what it opens is as long as it was said to be.
pub fn references(input: &[u8]) {
    let mut input = Input::new(input);
    let host = host().lock().unwrap_or_else(PoisonError::into_inner);
    host.runtime.block_on(async {
        let options = ConnectOptions {
            runtime_dir: Some(host.dir.clone()),
            outbox: GEOMETRY,
            timeout: PATIENCE,
            ..ConnectOptions::default()
        };
        let address = nowire::Address::name(NAME).expect("a name");
        let (client, server) =
            tokio::join!(nowire::meet(&address, options), host.listener.accept());
        let mut liar = Liar::new(client.expect("it is met"));
        let options = ConnectionOptions {
            wait: Wait::Park,
            ..ConnectionOptions::default()
        };
        let server = server.expect("it listens");
        let served = Connection::server(server, options, Box::new(Opener));
        let (_connection, driver) = served.expect("a watched socket");
        let driving = tokio::spawn(driver);
        liar.act(&mut input).await;
        drop(liar);
        let ended = tokio::time::timeout(PATIENCE, driving).await;
        ended.expect("the server hangs").expect("no panic");
    });
}

/// First inputs: references of each kind, and messages with their tokens.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const DESCRIPTOR: u8 = 0;
    const SYNC: u8 = 2;
    const TOKEN: u8 = 4;
    const REFER: u8 = 7;
    const POST: u8 = 9;
    let frame = |kind: u8, flags: u8, call: u8, lengths: [u16; 4]| {
        let mut bytes = vec![POST, kind, flags, 0, call];
        bytes.extend(lengths.into_iter().flat_map(u16::to_le_bytes));
        bytes
    };
    let extent = |flags: u8, number: u16, descriptor: u16, bytes: u16, size: u16| {
        let mut bytes = frame(KIND_EXTENT, flags, 1, [number, 0, bytes, size]);
        bytes.extend(descriptor.to_le_bytes());
        bytes.push(0);
        bytes
    };
    let open = |data: u16| frame(KIND_PARTS, FLAG_HEAD | FLAG_DATA, 1, [0, 0, data, 0]);
    let more = |data: u16| frame(KIND_PARTS, FLAG_DATA, 1, [0, 0, data, 0]);
    let end = frame(KIND_PARTS, FLAG_DATA | FLAG_END, 1, [0, 0, 26, 0]);
    let size = BYTES as u16;
    let good = |number: u16| {
        [
            vec![DESCRIPTOR, 0],
            extent(FLAG_WHOLE, number, 0, size, size),
        ]
        .concat()
    };
    let mut seeds = vec![
        [
            good(1),
            vec![TOKEN, 0, 1],
            open(26),
            vec![SYNC],
            end.clone(),
        ]
        .concat(),
        [
            vec![DESCRIPTOR, 0, DESCRIPTOR, 1],
            extent(FLAG_MORE | FLAG_WHOLE, 3, 0, 4096, size),
            extent(FLAG_WHOLE, 3, 1, 4096, size),
            vec![TOKEN, 0, 3, TOKEN, 1, 3],
            open(90),
            vec![SYNC],
        ]
        .concat(),
        [
            open(26),
            good(1),
            good(2),
            vec![TOKEN, 0, 2],
            more(26),
            vec![SYNC],
            end,
        ]
        .concat(),
        [
            open(26),
            vec![REFER, 9, 1, 2, 0, 1, 0, TOKEN, 0, 9],
            more(26),
        ]
        .concat(),
        // The descriptor comes behind.
        [
            extent(0, 1, 0, 100, size),
            vec![TOKEN, 0, 1],
            open(26),
            vec![SYNC],
        ]
        .concat(),
    ];
    for which in 1..6 {
        let bad = extent(FLAG_WHOLE, 1, 0, size, size);
        seeds.push([vec![DESCRIPTOR, which], bad, vec![TOKEN, 0, 1], open(26)].concat());
    }
    seeds
}
