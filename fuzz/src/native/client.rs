use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use nowire::macro_support::inline;
use nowire::{CallError, ChannelOptions, ConnectOptions, Keeping, ListenOptions, Listener, Scope};
use nowire_memory::heap::RUN_HEADER_BYTES;
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_HEAD, KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_RELEASE, KIND_REPLY, Message,
};

use super::liar::Liar;
use super::subject::{SubjectClient, measure, node};
use super::{GEOMETRY, HEAP, PATIENCE, runtime_dir};
use crate::input::Input;
use crate::typed::seeds::moved;

const NAME: &str = "liar";

/// A client that meets whoever listens, as often as it is told, and a listener.
struct Host {
    runtime: tokio::runtime::Runtime,
    listener: Listener,
    begin: SyncSender<Way>,
    over: Mutex<Receiver<()>>,
}

/// Which method the client begins with.
#[derive(Clone, Copy)]
struct Way(u8);

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| {
        let dir = runtime_dir();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let options = ListenOptions {
            runtime_dir: Some(dir.clone()),
            outbox: GEOMETRY,
            heap: Some(HEAP),
            ..ListenOptions::default()
        };
        let address = nowire::Address::name(NAME).expect("a name");
        let listener = {
            let _inside = runtime.enter();
            Listener::bind(&[address], options).expect("the name is free")
        };
        let (begin, begun) = sync_channel::<Way>(0);
        let (done, over) = sync_channel(1);
        std::thread::spawn(move || {
            for way in begun {
                let options = ChannelOptions {
                    connect: ConnectOptions {
                        runtime_dir: Some(dir.clone()),
                        timeout: PATIENCE,
                        heap: Some(HEAP),
                        ..ConnectOptions::default()
                    },
                    keeping: Keeping::Copy,
                    ..ChannelOptions::default()
                };
                let channel = nowire::connect_with(NAME, options).expect("it is met");
                call(&SubjectClient::new(channel), way);
                if done.send(()).is_err() {
                    return;
                }
            }
        });
        Host {
            runtime,
            listener,
            begin,
            over: Mutex::new(over),
        }
    })
}

/// Calls one method after the other until the connection is over.
fn call(client: &SubjectClient, Way(way): Way) {
    for number in way.. {
        let over = match number % 5 {
            0 => is_over(client.draw(1).map(|node| {
                measure(node.get());
            })),
            1 => is_over(client.turn([7; 8])),
            2 => is_over(client.who()),
            3 => is_over(scatter(client)),
            _ => is_over(gather(client)),
        };
        if over || client.channel().over().is_some() || number == u8::MAX {
            return;
        }
    }
}

fn scatter(client: &SubjectClient) -> Result<(), CallError> {
    let mut numbers = client.scatter(100)?;
    while numbers.next_reply()?.is_some() {}
    numbers.finish().map(drop)
}

fn gather(client: &SubjectClient) -> Result<(), CallError> {
    let mut nodes = client.gather()?;
    for _ in 0..3 {
        let Ok(scope) = client.scope() else {
            break;
        };
        let Ok(node) = node(&scope) else {
            break;
        };
        if !nodes.send(node)? {
            break;
        }
    }
    nodes.finish().map(drop)
}

/// Whether nothing more can come of calls.
fn is_over<T, E>(result: Result<T, CallError<E>>) -> bool {
    matches!(result, Err(CallError::Connection(_) | CallError::Layout(_)))
}

/// Frames of a server of native calls, of any kind and in any order, and a scope
/// they may point into. The client calls until it cuts the server off, does not
/// hang and does not panic; what it takes for a reply is one.
pub fn native_client(input: &[u8]) {
    let mut input = Input::new(input);
    let way = Way(input.byte() % 5);
    let honest = !input.byte().is_multiple_of(8);
    let scope_bytes = usize::from(input.short());
    let scope = input.bytes(scope_bytes).to_vec();
    let host = host();
    host.begin.send(way).expect("the client lives");
    let met = host.runtime.block_on(host.listener.accept());
    let mut liar = Liar::new(met.expect("it listens"), scope);
    let asked = liar.take_call().expect("it asks first");
    if honest {
        liar.describe(asked.stream.index as u8, asked.stream.call as u8);
        // What it calls first.
        liar.take_call();
    }
    liar.act(&mut input);
    drop(liar);
    let over = host.over.lock().unwrap_or_else(PoisonError::into_inner);
    over.recv_timeout(PATIENCE).expect("the client hangs");
}

/// First inputs: replies of each kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const POST: u8 = 3;
    let scope = Scope::private(1 << 12);
    let (root, scope) = moved(scope, |scope| Ok(inline(&node(scope)?)));
    let used = (RUN_HEADER_BYTES + scope.len()) as u16;
    // The first call was the question which methods there are.
    let frame = |kind: u8, flags: u8, call: u8, lengths: [u16; 4]| {
        let mut bytes = vec![POST, kind, flags, 0, call];
        bytes.extend(lengths.into_iter().flat_map(u16::to_le_bytes));
        bytes
    };
    let reply = |flags: u8, call: u8, status: u16, used: u16, root: [u64; 4]| {
        let mut bytes = frame(KIND_REPLY, flags, call, [0, 0, 0, used]);
        bytes.extend(status.to_le_bytes());
        bytes.extend(root.into_iter().flat_map(u64::to_le_bytes));
        bytes
    };
    let turned = |call: u8| {
        let mut bytes = frame(KIND_PARTS, FLAG_HEAD | FLAG_DATA, call, [0, 0, 64, 0]);
        bytes.extend(reply(Message::AHEAD, call, 0, 0, [0; 4]));
        bytes
    };
    let number = [3, 0, 0, 0];
    let item = Message::ITEM;
    let mut release = frame(KIND_RELEASE, 1, 0, [0; 4]);
    release.extend([0; 34]);
    let scripts = [
        (
            0,
            vec![
                reply(0, 2, 0, used, root),
                turned(3),
                reply(0, 4, 0, 0, number),
                reply(item, 5, 0, 0, number),
                reply(item, 5, 0, 0, number),
                reply(0, 5, 0, 0, number),
                frame(KIND_GO_AWAY, 0, 0, [0; 4]),
                reply(0, 6, 0, 0, number),
            ],
        ),
        (
            0,
            vec![
                reply(Message::FAILED, 2, u16::MAX, 0, number),
                reply(Message::FAILED, 3, 13, 0, root),
            ],
        ),
        (
            4,
            vec![
                frame(KIND_CREDIT, 0, 2, [1, 0, 0, 0]),
                release,
                reply(Message::KEPT, 2, 0, 0, number),
            ],
        ),
        (1, vec![turned(2), reply(Message::KEPT, 3, 0, used, root)]),
        (4, vec![reply(Message::LENT | Message::KEPT, 2, 0, 0, root)]),
    ];
    scripts
        .into_iter()
        .map(|(way, frames)| {
            let mut input = vec![way, 1];
            input.extend((scope.len() as u16).to_le_bytes());
            input.extend(&scope);
            input.extend(frames.concat());
            input
        })
        .collect()
}
