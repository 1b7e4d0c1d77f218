use std::path::PathBuf;
use std::sync::OnceLock;

use nowire::macro_support::inline;
use nowire::{Address, ConnectOptions, Keeping, Running, Scope, Server};
use nowire_memory::heap::RUN_HEADER_BYTES;
use nowire_protocol::frame::{
    FLAG_DATA, FLAG_HEAD, KIND_CALL, KIND_CREDIT, KIND_GO_AWAY, KIND_PARTS, KIND_RELEASE,
    KIND_RESET, KIND_RETIRE, KIND_SEGMENT, Message,
};

use super::liar::Liar;
use super::subject::{Honest, SubjectServer, node};
use super::{GEOMETRY, HEAP, PATIENCE, runtime_dir};
use crate::input::Input;
use crate::typed::seeds::moved;

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
        let dir = runtime_dir();
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

/// Frames of a client of native calls, of any kind and in any order, and a scope
/// they may point into. The server answers until it cuts the client off, does not
/// hang and does not panic.
pub fn native_server(input: &[u8]) {
    let mut input = Input::new(input);
    let scope_bytes = usize::from(input.short());
    let scope = input.bytes(scope_bytes).to_vec();
    let host = host();
    let options = ConnectOptions {
        runtime_dir: Some(host.dir.clone()),
        timeout: PATIENCE,
        outbox: GEOMETRY,
        heap: Some(HEAP),
        ..ConnectOptions::default()
    };
    let met = host.runtime.block_on(nowire::meet(&host.address, options));
    let met = met.expect("the server takes clients");
    Liar::new(met, scope).act(&mut input);
}

/// First inputs: a call of each method, each kind of frame, and streams.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    const POST: u8 = 3;
    let scope = Scope::private(1 << 12);
    let (root, scope) = moved(scope, |scope| Ok(inline(&node(scope)?)));
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
