use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nowire::macro_support::inline;
use nowire::{
    Address, ConnectOptions, Context, HeapOptions, Keeping, Kept, Met, Ptr, Replies, Requests,
    Running, Scope, Server, Shared, Slice, Str,
};
use nowire_memory::heap::{PAGE_BYTES, RUN_HEADER_BYTES, Run};
use nowire_memory::socket::{self, Drained};
use nowire_memory::{OwnedSegment, PeerSegment};
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_HEAD, Frame, KIND_CALL, KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_PING,
    KIND_RELEASE, KIND_RESET, KIND_RETIRE, KIND_SEGMENT, Message,
};
use nowire_protocol::geometry::{Geometry, SLOT_BYTES};
use nowire_protocol::memory::{PrivateMemory, ReadMemory, WriteMemory};
use nowire_protocol::ring::Consumer;

use crate::input::Input;
use crate::slot;

const GEOMETRY: Geometry = Geometry::SMALLEST;

/// Far beyond what a server takes for anything here.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pages of the only scope.
const PAGES: u32 = 2;

/// What is passed.
#[derive(Debug, PartialEq, Shared)]
struct Node<'s> {
    text: Str<'s>,
    flag: Option<bool>,
    below: Slice<'s, Node<'s>>,
}

#[nowire::service]
trait Subject {
    fn measure(&self, node: &Node) -> u64;
    #[nowire(pool)]
    fn measure_aside(&self, node: &Node) -> u64;
    fn keep(&self, node: Kept<Node<'static>>) -> u64;
    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Node<'r>>, [u64; 6]>;
    fn turn(&self, words: [u64; 8]) -> [u64; 8];
    #[nowire(pool)]
    fn gather(&self, nodes: Requests<Ptr<'static, Node<'static>>>) -> u64;
    #[nowire(pool)]
    fn scatter(&self, count: u64, numbers: &mut Replies<u64>);
    async fn later(&self, node: &Node) -> u64;
    fn who(&self, context: &Context) -> u64;
}

#[derive(Default)]
struct Honest {
    kept: Mutex<Option<Kept<Node<'static>>>>,
}

fn measure(node: &Node<'_>) -> u64 {
    let mut rest = vec![node];
    let mut sum = 0;
    while let Some(node) = rest.pop() {
        assert!(str::from_utf8(node.text.as_bytes()).is_ok());
        sum += node.text.len() as u64 + u64::from(node.flag == Some(true));
        rest.extend(&node.below);
    }
    sum
}

impl Subject for Honest {
    fn measure(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn measure_aside(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn keep(&self, node: Kept<Node<'static>>) -> u64 {
        let sum = measure(node.get());
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
        sum
    }

    fn draw<'r>(&self, number: u64, out: &'r Scope) -> Result<Ptr<'r, Node<'r>>, [u64; 6]> {
        let node = Node {
            text: out.str("drawn").map_err(|_| [number; 6])?,
            flag: None,
            below: Slice::empty(),
        };
        out.build(node).map_err(|_| [number; 6])
    }

    fn turn(&self, mut words: [u64; 8]) -> [u64; 8] {
        words.reverse();
        words
    }

    fn gather(&self, nodes: Requests<Ptr<'static, Node<'static>>>) -> u64 {
        nodes.map(|node| measure(node.get())).sum()
    }

    fn scatter(&self, count: u64, numbers: &mut Replies<u64>) {
        for number in 0..count {
            if numbers.send(number).is_err() {
                return;
            }
        }
    }

    async fn later(&self, node: &Node<'_>) -> u64 {
        measure(node)
    }

    fn who(&self, context: &Context) -> u64 {
        context.all_metadata().len() as u64
    }
}

/// An honest server, which lives as long as the process.
struct Host {
    dir: PathBuf,
    runtime: tokio::runtime::Runtime,
    address: Address,
    _running: Running,
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let dir = std::env::temp_dir().join(format!("nowire-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let running = Server::builder()
            .add(SubjectServer::new(Honest::default()))
            .keeping(Keeping::Copy)
            .runtime_dir(&dir)
            .workers(8)
            .start("subject")
            .expect("the name is free");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Host {
            dir,
            runtime: runtime.expect("a runtime"),
            address: running.address().clone(),
            _running: running,
        }
    })
}

/// Whether the server is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Still {
    There,
    Gone,
}

/// A client that writes what the input says.
struct Client {
    socket: OwnedFd,
    outbox: OwnedSegment,
    inbox: PeerSegment,
    consumer: Consumer,
    /// Where frames are made before the server can see them.
    draft: PrivateMemory,
    sent: u64,
    /// Address of what was laid out.
    base: u64,
    descriptor: OwnedFd,
    _run: Arc<Run>,
}

impl Client {
    /// Meets the server and lays the bytes out where it can read them.
    fn new(host: &Host, mut bytes: Vec<u8>) -> Self {
        let options = ConnectOptions {
            runtime_dir: Some(host.dir.clone()),
            timeout: PATIENCE,
            outbox: GEOMETRY,
            heap: Some(HeapOptions {
                window_bytes: 1 << 20,
                quota_bytes: 1 << 20,
                ..HeapOptions::default()
            }),
            ..ConnectOptions::default()
        };
        let met = host.runtime.block_on(nowire::meet(&host.address, options));
        let Met {
            socket,
            outbox,
            inbox,
            inbox_geometry,
            heaps,
            ..
        } = met.expect("the server takes clients");
        let heap = heaps.expect("a server of native calls").own;
        let grown = heap.grow(PAGES).expect("a segment");
        let descriptor = grown.descriptor.try_clone().expect("a descriptor");
        grown.open();
        let run = heap.allocate(PAGES).expect("it has just grown");
        let base = heap.base() + RUN_HEADER_BYTES as u64;
        bytes.truncate(PAGES as usize * PAGE_BYTES - RUN_HEADER_BYTES);
        for word in bytes.as_chunks_mut::<8>().0 {
            *word = moved(u64::from_le_bytes(*word), base).to_le_bytes();
        }
        let scope = Arc::clone(&run).scope();
        let filled = scope.fill(bytes.len(), |into| into.copy_from_slice(&bytes));
        filled.expect("it fits");
        drop(scope);
        Self {
            socket,
            outbox,
            inbox,
            consumer: Consumer::new(inbox_geometry),
            draft: PrivateMemory::zeroed(GEOMETRY.outbox_bytes()),
            sent: 0,
            base,
            descriptor,
            _run: run,
        }
    }

    /// Takes what the server has sent.
    fn drain(&mut self, token: Option<u64>) -> Still {
        while let Some(frame) = self.consumer.peek(&self.inbox).expect("an honest frame") {
            let bytes = match &frame {
                Frame::Parts(parts) => parts.payload_bytes(),
                _ => 0,
            };
            self.consumer.advance(&self.outbox, bytes);
            if let Frame::Ping { token: found, .. } = frame
                && Some(found) == token
            {
                return Still::There;
            }
        }
        self.consumer.publish(&self.outbox);
        Still::Gone
    }

    fn is_cut_off(&self) -> bool {
        loop {
            match socket::drain_doorbell(self.socket.as_fd()) {
                Ok(Drained::Rung(_)) => {}
                Ok(Drained::Empty) => return false,
                Ok(Drained::HungUp) | Err(_) => return true,
            }
        }
    }

    /// Writes the next frame. The last of each turn of the ring asks whether all
    /// before it were taken, so that no place is written too early.
    fn post(&mut self, input: &mut Input<'_>) -> Still {
        self.write(input);
        let slots = u64::from(GEOMETRY.ring_slots());
        if self.sent % slots == slots - 1 {
            return self.sync();
        }
        Still::There
    }

    fn write(&mut self, input: &mut Input<'_>) {
        slot::write(&self.draft, GEOMETRY, self.sent, input);
        let at = slot::offset_of(GEOMETRY, self.sent);
        let word = |index: usize| self.draft.load(at + index * 8, Ordering::Relaxed);
        for index in 1..SLOT_BYTES / 8 {
            let word = moved(word(index), self.base);
            self.outbox.store(at + index * 8, word, Ordering::Relaxed);
        }
        // SYNC: pairs with the acquire load in `Consumer::peek`.
        self.outbox.store(at, word(0), Ordering::Release);
        self.sent += 1;
    }

    /// Asks the server whether it is there, and waits.
    fn sync(&mut self) -> Still {
        let token = 0x7000 + self.sent;
        let mut ping = vec![KIND_PING, 0, 0, 0];
        ping.extend((token as u16).to_le_bytes());
        self.write(&mut Input::new(&ping));
        // Whoever is gone shows below.
        let _ = socket::ring_doorbell(self.socket.as_fd());
        let began = Instant::now();
        loop {
            if self.drain(Some(token)) == Still::There {
                return Still::There;
            }
            if self.is_cut_off() {
                return Still::Gone;
            }
            assert!(began.elapsed() < PATIENCE, "the server hangs");
            std::thread::yield_now();
        }
    }

    fn say(&self, bytes: &[u8], descriptors: usize) {
        let all = [self.descriptor.as_fd(); socket::DESCRIPTORS_LIMIT];
        let descriptors = &all[..descriptors.min(all.len())];
        // Whoever is gone shows elsewhere.
        let _ = socket::send_with_descriptors(self.socket.as_fd(), bytes, descriptors);
    }
}

/// Pointers in an input refer to where the heap was when it was made.
fn moved(word: u64, base: u64) -> u64 {
    let offset = word.wrapping_sub(crate::typed::BASE as u64);
    if offset < 1 << 16 {
        base + offset
    } else {
        word
    }
}

/// Frames of a client of native calls, of any kind and in any order, and a scope
/// they may point into. The server answers until it cuts the client off, does not
/// hang and does not panic.
pub fn native_server(input: &[u8]) {
    let mut input = Input::new(input);
    let scope_bytes = usize::from(input.short());
    let scope = input.bytes(scope_bytes).to_vec();
    let mut client = Client::new(host(), scope);
    client.say(&[1], 1);
    let segment = [KIND_SEGMENT, 0, 0, 0, 0, 0, PAGES as u8];
    let mut still = client.post(&mut Input::new(&segment));
    while !input.is_used_up() && still == Still::There {
        match input.byte() % 16 {
            0 => client.say(&[1], usize::from(input.byte() % 5)),
            1 => still = client.sync(),
            2 => {
                let area = GEOMETRY.data_bytes() as usize / 8;
                let at = GEOMETRY.data_offset() + usize::from(input.short()) % area * 8;
                client.outbox.store(at, input.long(), Ordering::Relaxed);
            }
            _ => still = client.post(&mut input),
        }
    }
    if still == Still::There {
        client.sync();
    }
}

/// First inputs: a call of each method, each kind of frame, and streams.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const POST: u8 = 3;
    let scope = Scope::private(1 << 12);
    let (root, scope) = crate::typed::seeds::moved(scope, |scope| {
        let below = scope.slice_of([Node {
            text: scope.str("below")?,
            flag: None,
            below: Slice::empty(),
        }])?;
        let node = scope.build(Node {
            text: scope.str("above")?,
            flag: Some(true),
            below,
        })?;
        Ok(inline(&node))
    });
    let used = (RUN_HEADER_BYTES + scope.len()) as u16;
    let frame = |kind: u8, flags: u8, index: u8, lengths: [u16; 4]| {
        let mut bytes = vec![POST, kind, flags, index, 1];
        bytes.extend(lengths.into_iter().flat_map(u16::to_le_bytes));
        bytes
    };
    let message = |flags: u8, index: u8, code: u16, used: u16, root: [u64; 4]| {
        let mut bytes = frame(KIND_CALL, flags, index, [0, 0, 0, used]);
        bytes.extend(code.to_le_bytes());
        bytes.extend(root.into_iter().flat_map(u64::to_le_bytes));
        bytes
    };
    let parts = |index: u8, data: u16| {
        let flags = FLAG_HEAD | FLAG_DATA;
        frame(KIND_PARTS, flags, index, [0, 0, data, 0])
    };
    let numbers = [3, 0, 0, 0];
    let [
        measure,
        aside,
        keep,
        draw,
        turn,
        gather,
        scatter,
        later,
        who,
    ] = std::array::from_fn(|code| code as u16 + 1);
    let calls = [
        message(0, 0, measure, used, root),
        message(0, 1, aside, used, root),
        message(0, 2, keep, used, root),
        message(0, 3, draw, 0, numbers),
        message(0, 4, later, used, root),
        message(0, 5, who, 0, numbers),
        parts(6, 64),
        message(Message::AHEAD, 6, turn, 0, [0; 4]),
        parts(6, 64),
        message(Message::AHEAD, 6, 0, 0, [0; 4]),
    ];
    let streams = [
        message(0, 0, gather, 0, numbers),
        message(Message::ITEM, 0, gather, used, root),
        message(Message::ITEM, 0, gather, used, root),
        message(Message::END, 0, gather, 0, [0; 4]),
        message(0, 1, scatter, 0, [200, 0, 0, 0]),
        frame(KIND_CREDIT, 0, 1, [32, 0, 0, 0]),
        frame(KIND_RESET, 0, 1, [1, 0, 0, 0]),
        frame(KIND_GO_AWAY, 0, 0, [0; 4]),
    ];
    let release = |mut bytes: Vec<u8>| {
        bytes.extend([0; 34]);
        bytes
    };
    let memory = [
        vec![0, 1],
        release(frame(KIND_SEGMENT, 0, 0, [16, 2, 0, 0])),
        message(0, 3, draw, 0, numbers),
        vec![1],
        release(frame(KIND_RELEASE, 1, 0, [0; 4])),
        release(frame(KIND_RETIRE, 0, 0, [0; 4])),
    ];
    [&calls[..], &streams, &memory]
        .into_iter()
        .map(|frames| {
            let mut input = (scope.len() as u16).to_le_bytes().to_vec();
            input.extend(&scope);
            input.extend(frames.concat());
            input
        })
        .collect()
}
