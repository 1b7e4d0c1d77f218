//! A server without descriptors left. Alone in its program, as it lowers the
//! limit of the whole process.

mod common;

use common::Runtime;
use nowire_memory::socket;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Processor time of this process so far, in ticks of 10 ms.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("own statistics");
    let after_name = stat
        .rsplit_once(") ")
        .expect("a command name in brackets")
        .1;
    let field = |index| {
        after_name
            .split(' ')
            .nth(index)
            .and_then(|text| text.parse::<u64>().ok())
    };
    field(11).expect("user time") + field(12).expect("system time")
}

#[tokio::test]
async fn a_server_without_descriptors_waits_idle_and_goes_on_when_it_has_some() {
    let runtime = Runtime::new();
    let listener = runtime.listen("nowire:starved");
    let path = runtime.path().join("name-starved.sock");
    let _silent = socket::connect(&path).expect("the server listens");
    let before_starving = ticks();
    let limit = getrlimit(Resource::Nofile);
    let lowered = Rlimit {
        current: Some(256),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, lowered).expect("a limit may be lowered");
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    let second = std::time::Duration::from_secs(1);
    let starving = tokio::time::timeout(second, listener.accept()).await;
    assert!(starving.is_err(), "{starving:?}");
    hoard.clear();
    let used = ticks() - before_starving;
    assert!(
        used < 50,
        "{used} ticks of processor time while there was nothing to do"
    );
    let (client, server) = tokio::join!(runtime.meet("nowire:starved"), listener.accept());
    assert_eq!(
        client.expect("connected").peer.pid,
        server.expect("accepted").peer.pid
    );
}
