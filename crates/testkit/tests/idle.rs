//! Connections on which nothing happens, alone in their program so that nobody
//! else's noise is counted.

use std::time::Duration;

use nowire_testkit::{House, Program};

const CONNECTIONS: usize = 100;
/// Of two seconds, which are 200 ticks.
const FEW_TICKS: u64 = 10;

fn honest(house: &House, role: &[&str]) -> Program {
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = [&["--runtime-dir", dir], role].concat();
    Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments)
}

#[test]
fn a_hundred_idle_connections_cost_a_descriptor_and_a_quarter_mebibyte_each_and_no_cpu() {
    let house = House::new();
    let server = honest(&house, &["serve", "nowire:idle"]);
    server.line("serving");
    let count = CONNECTIONS.to_string();
    let mut client = honest(&house, &["idle", "nowire:idle", &count]);
    assert_eq!(client.ask("panics"), "0");
    let programs = [server, client];
    let before = [0, 1].map(|i| programs[i].vitals());
    let [server, mut client] = programs;
    client.ask("connect");
    // Whoever still looks for a next call stops looking.
    std::thread::sleep(Duration::from_secs(1));
    let programs = [server, client];
    let idle = [0, 1].map(|i| programs[i].vitals());
    std::thread::sleep(Duration::from_secs(2));
    for (i, program) in programs.iter().enumerate() {
        let (before, idle, after) = (before[i], idle[i], program.vitals());
        assert_eq!(after.descriptors, before.descriptors + CONNECTIONS);
        let each = (after.shared_bytes - before.shared_bytes) / CONNECTIONS as u64;
        assert!(each <= 256 << 10, "{each} bytes each");
        assert!(each > 0, "not through shared memory");
        assert_eq!(after.threads, before.threads);
        let ticks = after.cpu_ticks - idle.cpu_ticks;
        assert!(ticks <= FEW_TICKS, "{ticks} ticks");
    }
}
