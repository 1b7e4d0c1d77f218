//! What the tests share.

use std::time::{Duration, Instant};

use nowire_testkit::{House, Program, Tally, Vitals};

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Starts an honest program in the house.
pub(crate) fn honest(house: &House, settings: &[&str], role: &[&str]) -> Program {
    let dir = house.dir().to_str().expect("a readable path");
    let arguments = [&["--runtime-dir", dir], settings, role].concat();
    Program::start(env!("CARGO_BIN_EXE_nowire-honest"), arguments)
}

/// Starts a server and waits until it serves.
pub(crate) fn server(house: &House, settings: &[&str], address: &str) -> Program {
    let program = honest(house, settings, &["serve", address]);
    program.line("serving");
    program
}

/// Asks a client how its calls are going.
pub(crate) fn tally(client: &mut Program) -> Tally {
    serde_json::from_str(&client.ask("tally")).expect("a tally")
}

/// Waits until the calls of a client are as wanted.
pub(crate) fn wait_for(client: &mut Program, what: &str, wanted: impl Fn(&Tally) -> bool) -> Tally {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = tally(client);
        assert_eq!(now.wrong, [""; 0]);
        if wanted(&now) {
            return now;
        }
        assert!(Instant::now() < deadline, "not {what}: {now:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a client has so many more right answers.
pub(crate) fn wait_for_answers(client: &mut Program, more: u64) -> Tally {
    let enough = tally(client).right + more;
    wait_for(client, "served", |now| now.right >= enough)
}

/// Waits until the process has no more than `level`, a few MiB of private memory
/// aside: what is freed stays with the allocator.
pub(crate) fn assert_back_at(level: Vitals, program: &Program) {
    const SLACK_BYTES: u64 = 32 << 20;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = program.vitals();
        let back = now.descriptors <= level.descriptors
            && now.shared_mappings <= level.shared_mappings
            && now.shared_bytes <= level.shared_bytes
            && now.threads <= level.threads
            && now.private_bytes <= level.private_bytes + SLACK_BYTES;
        if back {
            return;
        }
        assert!(Instant::now() < deadline, "{now:?} where it was {level:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Names of the files in the runtime directory, sorted.
pub(crate) fn files(house: &House) -> Vec<String> {
    let entries = std::fs::read_dir(house.dir()).expect("the directory is there");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Numbers that look random and are the same each time.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A duration below `limit`.
    pub(crate) fn below(&mut self, limit: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        limit.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}
