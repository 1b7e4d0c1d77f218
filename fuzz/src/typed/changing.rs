//! A check of what somebody changes while it is copied.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use nowire::macro_support::{check_copy, inline};
use nowire::{Keeping, Ptr, Scope};
use nowire_memory::data::CheckBuffers;
use nowire_memory::heap::{Heap, PeerHeap, RUN_HEADER_BYTES};

use super::raw::{Raw, Walk};
use super::{BASE, Tree, split};

/// The most that a scope takes here.
const PAGES: u32 = 2;

/// Copies made of each input while it changes.
const COPIES: usize = 16;

/// A heap, its peer's view of it, and a thread that changes what lies there.
struct Bench {
    peer: PeerHeap,
    page: u32,
    /// Address of the first byte that is not the scope's own.
    base: u64,
    orders: SyncSender<Order>,
    done: Mutex<Receiver<()>>,
    buffers: Mutex<CheckBuffers>,
    _heap: Heap,
}

struct Order {
    bytes: Vec<u8>,
    changes: Vec<u8>,
    stop: Arc<AtomicBool>,
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    BENCH.get_or_init(|| {
        let heap = Heap::reserve(64 << 20, 1 << 20, "fuzz").expect("a window");
        // In one process it lies elsewhere, so that all is copied.
        let peer = PeerHeap::reserve(heap.base(), heap.window_bytes()).expect("a window");
        let grown = heap.grow(PAGES).expect("a segment");
        let descriptor = grown.descriptor.try_clone().expect("a descriptor");
        peer.add(grown.page, grown.pages, descriptor)
            .expect("a good segment");
        grown.open();
        let run = heap.allocate(PAGES).expect("it has just grown");
        let page = run.page();
        let (orders, taken) = sync_channel::<Order>(0);
        let (finished, done) = sync_channel(0);
        let scope = run.scope();
        std::thread::spawn(move || change(scope, &taken, &finished));
        Bench {
            base: heap.base() + u64::from(page) * 4096 + RUN_HEADER_BYTES as u64,
            peer,
            page,
            orders,
            done: Mutex::new(done),
            buffers: Mutex::default(),
            _heap: heap,
        }
    })
}

/// Puts what is ordered into the scope and changes it until told to stop. Says
/// when it is there, and when it no longer changes.
fn change(mut scope: Scope, orders: &Receiver<Order>, done: &SyncSender<()>) {
    while let Ok(order) = orders.recv() {
        scope.reset().expect("nobody else has the run");
        let filled = scope.fill(order.bytes.len(), |into| {
            into.copy_from_slice(&order.bytes);
            // Who ordered it waits.
            let _ = done.send(());
            let mut turn = 0_usize;
            while !order.stop.load(Ordering::Relaxed) {
                let [at, high, change] = [0, 1, 2].map(|i| {
                    let pick = (3 * turn + i).checked_rem(order.changes.len());
                    pick.map_or(0, |pick| order.changes[pick])
                });
                let at = usize::from(u16::from_le_bytes([at, high])) % into.len();
                into[at] ^= change;
                for _ in 0..turn % 32 {
                    std::hint::spin_loop();
                }
                into[at] = order.bytes[at];
                turn += 1;
            }
        });
        filled.expect("it fits");
        let _ = done.send(());
    }
}

/// Takes a tree while another thread changes its bytes. What is accepted is what
/// a check of the copy that was taken accepts, and does not change any more.
pub fn checked_while_changing(input: &[u8]) {
    let Some((mut root, scope)) = split(input) else {
        return;
    };
    let bench = bench();
    let changes = usize::from(root[1] as u8).min(scope.len());
    let (changes, scope) = scope.split_at(changes);
    let room = PAGES as usize * 4096 - RUN_HEADER_BYTES;
    if scope.is_empty() || scope.len() > room {
        return;
    }
    // Pointers in an input refer to where the heap was when it was made.
    let moved = |word: u64| {
        let offset = word.wrapping_sub(BASE as u64);
        if offset < 1 << 16 {
            bench.base.wrapping_add(offset)
        } else {
            word
        }
    };
    root[0] = moved(root[0]);
    root[1] = 0;
    let mut bytes = scope.to_vec();
    for word in bytes.as_chunks_mut::<8>().0 {
        *word = moved(u64::from_le_bytes(*word)).to_le_bytes();
    }
    let used = (RUN_HEADER_BYTES + bytes.len()) as u32;
    let stop = Arc::new(AtomicBool::new(false));
    let order = Order {
        bytes,
        changes: changes.to_vec(),
        stop: Arc::clone(&stop),
    };
    bench.orders.send(order).expect("the thread lives");
    let done = bench.done.lock().unwrap_or_else(PoisonError::into_inner);
    done.recv().expect("the thread lives");
    for _ in 0..COPIES {
        take(bench, root, used);
    }
    stop.store(true, Ordering::Relaxed);
    done.recv().expect("the thread lives");
}

fn take(bench: &Bench, root: [u64; 4], used: u32) {
    let mut buffers = bench.buffers.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = bench.peer.take::<Ptr<'static, Tree<'static>>>(
        &root,
        bench.page,
        used,
        Keeping::Copy,
        &mut buffers,
    );
    let Ok(taken) = taken else {
        return;
    };
    let copy = taken.copied_bytes().expect("it was copied");
    let here = copy.as_ptr().addr();
    let words = inline(taken.get());
    let again = check_copy::<Ptr<'static, Tree<'static>>>(copy, here, words);
    let again = again.expect("what was accepted is accepted again");
    assert!(again.get() == taken.get(), "the copy has changed");
    let mut raw = Raw::new(words, copy, here, taken.get());
    taken.get().walk(&mut raw);
    raw.finish();
}
