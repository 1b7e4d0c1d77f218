//! Nothing to do costs nothing.

use std::time::Duration;

use crate::house::House;
use crate::vitals::Vitals;

/// Of a second, which is a hundred ticks.
const FEW_TICKS: u64 = 5;

#[test]
fn an_idle_server_and_its_idle_clients_use_no_cpu() {
    let house = House::new();
    for wait in ["wait=adaptive", "wait=park", "wait=spin"] {
        let server = house.server(wait);
        let mut clients = [(); 3].map(|()| house.program("idler", wait));
        for client in &mut clients {
            client.line("idle");
        }
        // Whoever still looks for a next call stops looking.
        std::thread::sleep(Duration::from_millis(200));
        let programs = clients.iter().chain([&server]);
        let pids: Vec<_> = programs.map(|program| program.pid()).collect();
        let before: Vec<_> = pids.iter().map(|pid| Vitals::of(*pid)).collect();
        std::thread::sleep(Duration::from_secs(1));
        for (pid, before) in pids.iter().zip(before) {
            let ticks = Vitals::of(*pid).cpu_ticks - before.cpu_ticks;
            assert!(ticks <= FEW_TICKS, "{ticks} ticks with {wait}");
        }
    }
}
